//! Files of calls, written where the worker finds them; and what it opens to answer with.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::books::Given;
use crate::rights;

/// Bytes copied between two looks at what else is to be done.
const PIECE: usize = 16 << 20;
const SMALL_PIECE: usize = 256 << 10;
const NAME_MAX: usize = 255;
/// Of a name that is too long so much is kept at its end, where its extension is.
const NAME_END: usize = 32;

/// Where the files of one worker's calls lie.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    /// The place of the process with this number, cleared of what its predecessor left.
    pub fn of(temporary: &str, process: &str) -> Self {
        let place = Self(Path::new(temporary).join("modelyard-requests").join(process));
        place.clear();
        place
    }

    fn folder(&self, call: u64) -> PathBuf {
        self.0.join(call.to_string())
    }

    /// Removes what is left of the files of a call.
    pub fn tidy(&self, call: u64) {
        remove(&self.folder(call));
    }

    /// Removes everything.
    pub fn clear(&self) {
        remove(&self.0);
    }
}

/// Follows no links on the way.
fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            eprintln!("modelyard relay: the files of a request could not be removed: {}", said(&e));
        }
        _ => {}
    }
}

/// The files of a call on their way into its folder.
#[derive(Debug)]
pub(super) struct Placing {
    pub call: u64,
    folder: PathBuf,
    waiting: VecDeque<Given>,
    current: Option<Copy>,
    /// The name of the one at work.
    name: String,
    paths: Vec<Vec<u8>>,
}

impl Placing {
    pub fn new(place: &Place, call: u64, files: Vec<Given>) -> Self {
        let folder = place.folder(call);
        Self { call, folder, waiting: files.into(), current: None, name: String::new(), paths: Vec::new() }
    }

    /// Does a piece of the work. At the end it gives the paths, or a sentence for the caller of the request.
    pub fn step(&mut self) -> Option<Result<Vec<Vec<u8>>, String>> {
        match self.piece() {
            Ok(false) => None,
            Ok(true) => Some(Ok(std::mem::take(&mut self.paths))),
            Err(e) => Some(Err(format!("The file '{}' cannot be given to the deployment: {}", self.name, said(&e)))),
        }
    }

    fn piece(&mut self) -> io::Result<bool> {
        if let Some(copy) = &mut self.current {
            if copy.piece()? {
                self.current = None;
            }
            return Ok(false);
        }
        let Some(Given { name, file }) = self.waiting.pop_front() else { return Ok(true) };
        self.name = name;
        let source = file.ok_or_else(|| io::Error::other("the process has too many open files"))?;
        let folder = self.folder.join(self.paths.len().to_string());
        if self.paths.is_empty() {
            private().recursive(true).create(self.folder.parent().unwrap_or(&self.folder))?;
            private().create(&self.folder)?;
        }
        private().create(&folder)?;
        let path = folder.join(safe(&self.name));
        let target = File::options().write(true).create_new(true).open(&path)?;
        self.paths.push(path.into_os_string().into_vec());
        self.current = Some(Copy { source: source.into(), target, at: 0, way: Way::Shared });
        Ok(false)
    }
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// From the beginning of the source, wherever somebody else may be reading it, to an empty target.
#[derive(Debug)]
struct Copy {
    source: File,
    target: File,
    at: i64,
    way: Way,
}

/// How bytes are copied; one that does not work for two files is followed by the next.
#[derive(Debug)]
enum Way {
    /// File systems that can share the blocks.
    Shared,
    Sent,
    ByHand,
}

impl Copy {
    /// Copies a piece; true when all is copied.
    fn piece(&mut self) -> io::Result<bool> {
        let next = match self.way {
            Way::Shared => Way::Sent,
            Way::Sent => Way::ByHand,
            Way::ByHand => return self.by_hand(),
        };
        let (source, target, at) = (self.source.as_raw_fd(), self.target.as_raw_fd(), &raw mut self.at);
        // SAFETY: numbers, and a place for one that outlives the calls.
        let count = unsafe {
            match self.way {
                Way::Shared => libc::copy_file_range(source, at, target, std::ptr::null_mut(), PIECE, 0),
                _ => libc::sendfile(target, source, at, PIECE),
            }
        };
        match Errno::result(count) {
            Ok(0) => self.way = next,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::EBADF | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EPERM | Errno::EXDEV) => {
                self.way = next
            }
            Err(e) => return Err(e.into()),
        }
        Ok(false)
    }

    /// What is left: the end, or all of it.
    fn by_hand(&mut self) -> io::Result<bool> {
        let mut piece = vec![0; SMALL_PIECE];
        let count = self.source.read_at(&mut piece, self.at.cast_unsigned())?;
        self.target.write_all(&piece[..count])?;
        self.at += count as i64;
        Ok(count == 0)
    }
}

/// A name as a file may have it.
fn safe(name: &str) -> String {
    let name = name.replace(['/', '\0'], "_");
    if matches!(name.as_str(), "" | "." | "..") {
        return "file".into();
    }
    if name.len() <= NAME_MAX {
        return name;
    }
    let end = &name[name.ceil_char_boundary(name.len() - NAME_END)..];
    format!("{}{end}", &name[..name.floor_char_boundary(NAME_MAX - end.len())])
}

/// Opens a file that user code answers with: its links are followed, since they lead no further than it may read itself. The
/// error is a sentence for the caller of the request.
pub(super) fn open(path: &[u8]) -> Result<OwnedFd, String> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let refused = |why: String| format!("The output file '{}' {why}", path.display());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path);
    let file = OwnedFd::from(file.map_err(|e| refused(format!("cannot be read: {}", said(&e))))?);
    rights::ordinary(&file).map_err(|why| refused(why.into()))?;
    Ok(file)
}

/// An error without its number.
fn said(e: &io::Error) -> String {
    e.raw_os_error().map_or_else(|| e.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Seek, SeekFrom};

    use super::*;

    fn given(name: &str, text: &[u8]) -> Given {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        Given { name: name.into(), file: Some(file.into()) }
    }

    fn all(mut placing: Placing) -> Result<Vec<PathBuf>, String> {
        loop {
            if let Some(done) = placing.step() {
                return done
                    .map(|paths| paths.into_iter().map(|path| std::ffi::OsString::from_vec(path).into()).collect());
            }
        }
    }

    #[test]
    fn files_are_written_whole_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().to_str().unwrap();
        fs::create_dir_all(folder.path().join("modelyard-requests/3/1/old")).unwrap();
        let place = Place::of(temporary, "3");
        let large = vec![7; 40 << 20];
        let paths = all(Placing::new(&place, 1, vec![given("a.txt", b"text"), given("../b", &large), given("", b"")]));
        let paths = paths.unwrap();
        assert!(paths[0].ends_with("modelyard-requests/3/1/0/a.txt") && paths[1].ends_with("1/.._b"));
        assert_eq!(fs::read(&paths[0]).unwrap(), b"text");
        assert!(fs::read(&paths[1]).unwrap() == large && fs::read(&paths[2]).unwrap().is_empty());
        std::os::unix::fs::symlink(folder.path(), place.folder(1).join("link")).unwrap();
        fs::write(folder.path().join("kept"), "").unwrap();
        place.tidy(1);
        assert!(!place.folder(1).exists() && folder.path().join("kept").exists());
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path().to_str().unwrap(), "0");
        let lost = all(Placing::new(&place, 1, vec![Given { name: "a".into(), file: None }])).unwrap_err();
        assert_eq!(lost, "The file 'a' cannot be given to the deployment: the process has too many open files");
        fs::create_dir_all(place.folder(2)).unwrap();
        let taken = all(Placing::new(&place, 2, vec![given("a", b"")])).unwrap_err();
        assert_eq!(taken, "The file 'a' cannot be given to the deployment: File exists");
    }

    #[test]
    fn a_file_is_copied_by_hand_where_the_kernel_does_not() {
        let mut target = tempfile::tempfile().unwrap();
        let (source, at) = (File::from(given("", &[1; 300_000]).file.unwrap()), 0);
        let mut copy = Copy { source, target: target.try_clone().unwrap(), at, way: Way::ByHand };
        while !copy.piece().unwrap() {}
        assert_eq!(target.seek(SeekFrom::End(0)).unwrap(), 300_000);
    }

    #[test]
    fn names_are_made_safe() {
        for (name, wanted) in [("a/b\0c", "a_b_c"), ("..", "file"), (".", "file"), ("", "file"), ("...", "...")] {
            assert_eq!(safe(name), wanted);
        }
        let long = format!("{}.png", "ü".repeat(300));
        assert_eq!(safe(&long), format!("{}.png", "ü".repeat(125)));
    }

    #[test]
    fn only_ordinary_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).into_os_string().into_vec();
        fs::write(folder.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", folder.path().join("link")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open(&path("file")).is_ok() && open(&path("link")).is_ok());
        let place = folder.path().display();
        assert_eq!(
            open(&path("none")).unwrap_err(),
            format!("The output file '{place}/none' cannot be read: No such file or directory")
        );
        assert_eq!(open(&path("pipe")).unwrap_err(), format!("The output file '{place}/pipe' is no ordinary file"));
        assert_eq!(open(b"/").unwrap_err(), "The output file '/' is no ordinary file");
        assert_eq!(open(b"/dev/null").unwrap_err(), "The output file '/dev/null' is no ordinary file");
        assert_eq!(
            open(b"/proc/self/status").unwrap_err(),
            "The output file '/proc/self/status' is a file of the kernel"
        );
    }
}
