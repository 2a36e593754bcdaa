//! From a process to buckets: the files of an answer are copied, stored, and named by their addresses in it (semantics 1.8).

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use modelyard_types::buckets::DEFAULT;
use modelyard_types::fields::{DataType, Field};
use modelyard_types::files::{FileName, FileUri};
use modelyard_types::{Error, Kind, RequestId, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Carrier;
use crate::catalogue::ProjectSnapshot;
use crate::requests::files::is_uri;
use crate::requests::inputs::is_list;
use crate::{Control, NewBlob};

/// Seconds that a blob lives which code has made: as long as one that is sent without saying.
const BLOB_TTL: i64 = modelyard_types::blobs::USUAL_TTL;

/// A file of an answer, as the worker names it.
#[derive(Deserialize)]
struct Told {
    descriptor: usize,
    name: String,
    bucket: Option<String>,
    bucket_file: Option<String>,
}

/// Where a value stands in an answer.
struct Place {
    /// Which of the requests that were answered together.
    request: usize,
    /// Which of the dictionaries.
    item: usize,
    field: String,
    data_type: DataType,
    /// Which of the items of a list.
    at: Option<usize>,
}

/// An answer: dictionaries, of which only the values of file fields are read.
struct Answer {
    items: Vec<BTreeMap<String, Box<RawValue>>>,
    is_list: bool,
    files: BTreeMap<(usize, String), (DataType, Value)>,
}

impl Carrier {
    /// Stores the files of the answer to these requests; gives the answer with their addresses. What is no answer with files is
    /// left to those who check it.
    pub(super) async fn store(&self, requests: &[RequestId], body: Bytes, files: Vec<Arc<File>>) -> Result<Bytes> {
        let control = self.control.upgrade().ok_or_else(|| Error::Unavailable("The server is stopping".into()))?;
        let control = Control(control);
        let Some(mut answer) = Answer::read(&body, &self.deployment.output_fields) else { return Ok(body) };
        // Of requests that ran together each has one dictionary; of one alone all are its own.
        let together = requests.len() > 1;
        let places = answer.places(together);
        if places.is_empty() || (together && answer.items.len() != requests.len()) {
            return Ok(body);
        }
        let project = control.catalogue().project_of(self.project).ok_or(Error::NotFound(Kind::Project))?;
        let names = Names::of(&places, &answer);
        for place in &places {
            let Some(value) = answer.value(place).cloned() else { continue };
            let stored = match value {
                Value::String(text) if is_uri(&text) && place.data_type != DataType::Blob => {
                    self.expect(&control, &project, place, &text).await?;
                    continue;
                }
                value => {
                    let told: Told = serde_json::from_value(value).map_err(|_| not_a_file(place))?;
                    let file = files.get(told.descriptor).cloned().ok_or_else(|| not_a_file(place))?;
                    let request = requests.get(place.request).copied().ok_or_else(|| not_a_file(place))?;
                    if place.data_type == DataType::Blob {
                        self.put_blob(&control, told, file).await?
                    } else {
                        let usual = names.usual(place, request, &told.name);
                        self.put(&control, &project, place, told, usual, file).await?.to_string()
                    }
                }
            };
            answer.set(place, stored);
        }
        answer.written().map_err(|cause| Error::internal("writing an answer", cause))
    }

    /// Refuses an address of a file that is not there.
    async fn expect(&self, control: &Control, project: &ProjectSnapshot, place: &Place, text: &str) -> Result<()> {
        let uri = FileUri::parse(text).map_err(|why| invalid(place, &why))?;
        let bucket = bucket(project, place, &uri.bucket)?;
        let storage = control.storage(bucket).await?;
        match control.get_file(&storage, &uri.file).await {
            Err(Error::NotFound(Kind::File)) => Err(invalid(place, &format!("there is no file {uri}"))),
            found => found.map(drop),
        }
    }

    async fn put(
        &self,
        control: &Control,
        project: &ProjectSnapshot,
        place: &Place,
        told: Told,
        usual: String,
        file: Arc<File>,
    ) -> Result<FileUri> {
        let bucket_name = told.bucket.unwrap_or_else(|| DEFAULT.to_owned());
        let bucket = bucket(project, place, &bucket_name)?;
        let name = told.bucket_file.unwrap_or(usual);
        let name = FileName::parse(&name).map_err(|why| invalid(place, &why))?;
        let storage = control.storage(bucket).await?;
        let staged = control.files().stage_file(file, self.scratch).await?;
        control.put_file(&storage, &name, staged).await?;
        Ok(FileUri { bucket: bucket_name, file: name })
    }
}

impl Carrier {
    /// Keeps a file as a blob; gives its id.
    async fn put_blob(&self, control: &Control, told: Told, file: Arc<File>) -> Result<String> {
        let staged = control.files().stage_file(file, self.scratch).await?;
        let new = NewBlob { staged, filename: told.name, content_type: None, ttl: BLOB_TTL };
        Ok(control.create_blob(&self.deployment.name, self.project, new).await?.id.to_string())
    }
}

fn bucket(project: &ProjectSnapshot, place: &Place, name: &str) -> Result<crate::catalogue::BucketSnapshot> {
    let found = project.buckets.get(name).copied();
    found.ok_or_else(|| invalid(place, &format!("there is no bucket '{name}'")))
}

fn invalid(place: &Place, why: &str) -> Error {
    Error::Invalid(format!("The output field '{}': {why}", place.field))
}

fn not_a_file(place: &Place) -> Error {
    invalid(place, "it is not a file that the process handed over")
}

impl Answer {
    fn read(body: &Bytes, fields: &[Field]) -> Option<Self> {
        let is_list = is_list(body);
        let items: Vec<BTreeMap<String, Box<RawValue>>> = match is_list {
            true => serde_json::from_slice(body).ok()?,
            false => vec![serde_json::from_slice(body).ok()?],
        };
        let mut files = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            for field in fields.iter().filter(|field| field.data_type.is_file()) {
                if let Some(value) = item.get(field.name.as_str()) {
                    let value = serde_json::from_str(value.get()).ok()?;
                    files.insert((at, field.name.to_string()), (field.data_type, value));
                }
            }
        }
        Some(Self { items, is_list, files })
    }

    /// Where files stand.
    fn places(&self, together: bool) -> Vec<Place> {
        let mut places = Vec::new();
        for ((item, field), (data_type, value)) in &self.files {
            let request = if together { *item } else { 0 };
            let place = |at| Place { request, item: *item, field: field.clone(), data_type: *data_type, at };
            match value {
                Value::Null => {}
                Value::Array(many) => places.extend((0..many.len()).map(|at| place(Some(at)))),
                _ => places.push(place(None)),
            }
        }
        places
    }

    fn value(&self, place: &Place) -> Option<&Value> {
        let (_, value) = self.files.get(&(place.item, place.field.clone()))?;
        match place.at {
            Some(at) => value.get(at),
            None => Some(value),
        }
    }

    fn set(&mut self, place: &Place, uri: String) {
        let Some((_, value)) = self.files.get_mut(&(place.item, place.field.clone())) else { return };
        let value = match place.at {
            Some(at) => value.get_mut(at),
            None => Some(value),
        };
        if let Some(value) = value {
            *value = Value::String(uri);
        }
    }

    fn written(mut self) -> serde_json::Result<Bytes> {
        for ((item, field), (_, value)) in self.files {
            if let Some(item) = self.items.get_mut(item) {
                item.insert(field, serde_json::value::to_raw_value(&value)?);
            }
        }
        let text = match (self.is_list, self.items.first()) {
            (false, Some(one)) => serde_json::to_vec(one)?,
            _ => serde_json::to_vec(&self.items)?,
        };
        Ok(text.into())
    }
}

/// The names of files whose code did not choose one: `deployment_requests/<id>/output/<name>`, and as much more as tells two of a
/// request apart.
struct Names {
    /// How often a name stands in a request.
    plain: HashMap<(usize, String), usize>,
    /// How often in one field of it.
    of_field: HashMap<(usize, String, String), usize>,
}

impl Names {
    fn of(places: &[Place], answer: &Answer) -> Self {
        let mut names = Self { plain: HashMap::new(), of_field: HashMap::new() };
        for place in places {
            let Some(name) = answer.value(place).and_then(own_name) else { continue };
            *names.plain.entry((place.request, name.clone())).or_default() += 1;
            *names.of_field.entry((place.request, place.field.clone(), name)).or_default() += 1;
        }
        names
    }

    fn usual(&self, place: &Place, request: RequestId, name: &str) -> String {
        let folder = format!("deployment_requests/{request}/output");
        let Place { field, item, at, .. } = place;
        let count = |found: Option<&usize>| found.copied().unwrap_or_default();
        if count(self.plain.get(&(place.request, name.to_owned()))) < 2 {
            return format!("{folder}/{name}");
        }
        if count(self.of_field.get(&(place.request, field.clone(), name.to_owned()))) < 2 {
            return format!("{folder}/{field}/{name}");
        }
        match at {
            Some(at) => format!("{folder}/{field}/{item}-{at}/{name}"),
            None => format!("{folder}/{field}/{item}/{name}"),
        }
    }
}

/// The name of a file that is stored under its own.
fn own_name(value: &Value) -> Option<String> {
    let told: &Map<String, Value> = value.as_object()?;
    if !told.get("bucket_file").is_none_or(Value::is_null) {
        return None;
    }
    Some(told.get("name")?.as_str()?.to_owned())
}
