//! Files in memory, in buckets, behind `s3s`: that reads and writes the language of S3 and checks signatures; this knows what a
//! bucket does. It holds names that no folder of a disk can, and checks the parts of uploads, which is why `s3s-fs` is not used.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use s3s::crypto::{Checksum, Md5};
use s3s::dto::*;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

/// Buckets with their files and uploads. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(super) struct Files(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    pub buckets: HashMap<String, BTreeMap<String, File>>,
    pub uploads: HashMap<String, Upload>,
    count: usize,
}

#[derive(Clone)]
pub(super) struct File {
    pub bytes: Bytes,
    pub content_type: Option<String>,
    etag: String,
    modified: SystemTime,
}

pub(super) struct Upload {
    bucket: String,
    key: String,
    content_type: Option<String>,
    parts: BTreeMap<i32, (String, Bytes)>,
}

impl File {
    pub fn new(bytes: Bytes, content_type: Option<String>) -> Self {
        let etag = md5(&bytes);
        Self { bytes, content_type, etag, modified: SystemTime::now() }
    }

    fn etag(&self) -> Option<ETag> {
        Some(ETag::Strong(self.etag.clone()))
    }
}

impl Files {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }
}

impl State {
    fn bucket(&mut self, name: &str) -> S3Result<&mut BTreeMap<String, File>> {
        self.buckets.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    fn file(&mut self, bucket: &str, key: &str) -> S3Result<File> {
        self.bucket(bucket)?.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
    }

    fn upload(&mut self, id: &str, bucket: &str, key: &str) -> S3Result<&mut Upload> {
        let found = self.uploads.get_mut(id).filter(|upload| upload.bucket == bucket && upload.key == key);
        found.ok_or_else(|| s3_error!(NoSuchUpload))
    }

    /// The parts that are named, in order, if they are those that were uploaded.
    fn join(&mut self, id: &str, bucket: &str, key: &str, named: Vec<CompletedPart>) -> S3Result<File> {
        let upload = self.upload(id, bucket, key)?;
        let (mut whole, mut last) = (BytesMut::new(), 0);
        for part in &named {
            let number = part.part_number.unwrap_or_default();
            if number <= last {
                return Err(s3_error!(InvalidPartOrder));
            }
            last = number;
            let found =
                upload.parts.get(&number).filter(|(etag, _)| part.e_tag.as_ref().is_some_and(|it| it.value() == etag));
            whole.extend_from_slice(&found.ok_or_else(|| s3_error!(InvalidPart))?.1);
        }
        let mut file = File::new(whole.freeze(), upload.content_type.clone());
        file.etag = format!("{}-{}", file.etag, named.len());
        Ok(file)
    }
}

#[async_trait::async_trait]
impl S3 for Files {
    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let file = self.state().file(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(file.bytes.len() as i64),
            content_type: file.content_type.clone(),
            e_tag: file.etag(),
            last_modified: Some(file.modified.into()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let file = self.state().file(&input.bucket, &input.key)?;
        if let Some(ETagCondition::ETag(wanted)) = &input.if_match
            && wanted.value() != file.etag
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let size = file.bytes.len() as u64;
        let range = input.range.map(|range| range.check(size)).transpose()?;
        let content_range = range.as_ref().map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1));
        let range = range.unwrap_or(0..size);
        let bytes = file.bytes.slice(range.start as usize..range.end as usize);
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            content_range,
            content_type: file.content_type.clone(),
            e_tag: file.etag(),
            last_modified: Some(file.modified.into()),
            body: Some(Body::from(bytes).into()),
            ..GetObjectOutput::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let file = File::new(collect(input.body).await?, input.content_type);
        let e_tag = file.etag();
        self.state().bucket(&input.bucket)?.insert(input.key, file);
        Ok(S3Response::new(PutObjectOutput { e_tag, ..PutObjectOutput::default() }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.state().bucket(&request.input.bucket)?.remove(&request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let mut state = self.state();
        let files = state.bucket(&input.bucket)?;
        let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
        let (after, limit) = (input.continuation_token.unwrap_or_default(), input.max_keys.unwrap_or(1000) as usize);
        let mut output = ListObjectsV2Output::default();
        let (mut contents, mut commons, mut last) = (Vec::new(), Vec::<CommonPrefix>::new(), String::new());
        for (key, file) in files.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let ending =
                Some(&key[prefix.len()..]).filter(|_| !delimiter.is_empty()).and_then(|rest| rest.find(&delimiter));
            let shown = ending.map_or(key.as_str(), |at| &key[..prefix.len() + at + delimiter.len()]);
            if shown <= after.as_str() || shown == last {
                continue;
            }
            if contents.len() + commons.len() == limit {
                output.next_continuation_token = Some(last);
                break;
            }
            last = shown.to_owned();
            match ending {
                Some(_) => commons.push(CommonPrefix { prefix: Some(last.clone()) }),
                None => contents.push(Object {
                    key: Some(key.clone()),
                    size: Some(file.bytes.len() as i64),
                    e_tag: file.etag(),
                    last_modified: Some(file.modified.into()),
                    ..Object::default()
                }),
            }
        }
        output.is_truncated = Some(output.next_continuation_token.is_some());
        (output.contents, output.common_prefixes) = (Some(contents), Some(commons));
        Ok(S3Response::new(output))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let CreateMultipartUploadInput { bucket, key, content_type, .. } = request.input;
        let mut state = self.state();
        state.bucket(&bucket)?;
        state.count += 1;
        // Providers' ids have such characters.
        let id = format!("upload/{}+==", state.count);
        state.uploads.insert(id.clone(), Upload { bucket, key, content_type, parts: BTreeMap::new() });
        Ok(S3Response::new(CreateMultipartUploadOutput {
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let bytes = collect(input.body).await?;
        let etag = md5(&bytes);
        let mut state = self.state();
        let upload = state.upload(&input.upload_id, &input.bucket, &input.key)?;
        upload.parts.insert(input.part_number, (etag.clone(), bytes));
        Ok(S3Response::new(UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..UploadPartOutput::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let mut state = self.state();
        let file = state.join(&input.upload_id, &input.bucket, &input.key, named)?;
        let e_tag = file.etag();
        state.uploads.remove(&input.upload_id);
        state.bucket(&input.bucket)?.insert(input.key, file);
        Ok(S3Response::new(CompleteMultipartUploadOutput { e_tag, ..CompleteMultipartUploadOutput::default() }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let mut state = self.state();
        state.upload(&input.upload_id, &input.bucket, &input.key)?;
        state.uploads.remove(&input.upload_id);
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let whole = body.try_fold(BytesMut::new(), |mut whole, bytes| async move {
        whole.extend_from_slice(&bytes);
        Ok(whole)
    });
    whole.await.map(BytesMut::freeze).map_err(|_| s3_error!(IncompleteBody))
}

fn md5(bytes: &[u8]) -> String {
    Md5::checksum(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
