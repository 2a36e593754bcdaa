//! Kept files of an installation in an object store.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use modelyard_objects::{AWAY, ObjectError, Objects, read_ranges};

use crate::kit::Stand;

async fn keep(objects: &Objects, bytes: &[u8]) -> String {
    let mut staging = objects.stage(u64::MAX);
    staging.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    objects.keep_file(staging.finish().await.unwrap()).await.unwrap()
}

async fn read(objects: &Objects, key: &str, size: u64) -> Result<Vec<u8>, ObjectError> {
    let pieces = read_ranges(vec![(objects.open_file(key).await?, 0..size)]).await?;
    Ok(pieces.try_collect::<Vec<_>>().await?.concat())
}

pub async fn kept_files_are_in_the_store_and_found_by_their_shelf(stand: &Stand) {
    let folder = tempfile::tempdir().unwrap();
    let here = Objects::local(folder.path()).unwrap();
    let old = keep(&here, b"old").await;
    let objects = here.clone().with_files_in(stand.open());
    let new = keep(&objects, b"new").await;

    assert_eq!(read(&objects, &old, 3).await.unwrap(), b"old");
    assert_eq!(read(&objects, &new, 3).await.unwrap(), b"new");
    assert!(matches!(read(&here, &new, 3).await, Err(ObjectError::Away(_))), "it is not in the folder");
    assert!(matches!(read(&objects, &new, 4).await, Err(ObjectError::Away(_))), "it has less than is wanted");
    let name = new.strip_prefix(AWAY).unwrap();
    assert_eq!(stand.open().get(name).await.unwrap().unwrap().size, 3);

    let shelf = u8::from_str_radix(&name[..2], 16).unwrap();
    // What others have there is left alone.
    let other = format!("{}/notes.txt", &name[..2]);
    stand.open().write(&other, None, stream::iter([Ok::<_, ObjectError>(Bytes::from_static(b"x"))])).await.unwrap();
    assert_eq!(objects.kept_away(shelf, Duration::ZERO).await.unwrap(), [new.as_str()]);
    assert_eq!(objects.kept_away(shelf, Duration::from_secs(60)).await.unwrap(), [""; 0]);
    assert_eq!(objects.kept_away(shelf.wrapping_add(1), Duration::ZERO).await.unwrap(), [""; 0]);
    assert_eq!(here.kept_away(shelf, Duration::ZERO).await.unwrap(), [""; 0]);

    for key in [&old, &new, &new] {
        objects.delete(key).await.unwrap();
    }
    for key in [&old, &new] {
        assert!(matches!(read(&objects, key, 3).await, Err(ObjectError::Missing(_))));
    }
    assert_eq!(objects.kept_away(shelf, Duration::ZERO).await.unwrap(), [""; 0]);
}
