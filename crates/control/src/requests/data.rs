//! What went into requests and came out of them, for those who read it: large data is never in memory as a whole.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use modelyard_types::{Error, Result};

use crate::Control;

/// What went into a request, or came out of it.
pub enum Data {
    /// All of it.
    Whole(Bytes),
    /// So many bytes, read as they are taken.
    Pieces(u64, BoxStream<'static, Result<Bytes>>),
}

impl Control {
    /// The data of a row: in the row, or an object. One that is missing is told of here, not in the middle of an answer.
    pub(super) async fn data_of(&self, bytes: Option<Bytes>, key: Option<String>) -> Result<Option<Data>> {
        let key = match (bytes, key) {
            (None, Some(key)) => key,
            (bytes, _) => return Ok(bytes.map(Data::Whole)),
        };
        let objects = self.objects().clone();
        let size = objects.size(&key).await?;
        // Opened in its turn, so that an answer with many holds one file open.
        let opened = async move { Ok::<_, Error>(objects.open(&key).await?.1.map_err(Error::from)) };
        Ok(Some(Data::Pieces(size, stream::once(opened).try_flatten().boxed())))
    }
}

#[cfg(test)]
impl Data {
    /// All bytes of it.
    pub(crate) async fn read(self) -> Bytes {
        match self {
            Data::Whole(bytes) => bytes,
            Data::Pieces(_, pieces) => pieces.try_collect::<Vec<_>>().await.expect("it can be read").concat().into(),
        }
    }
}
