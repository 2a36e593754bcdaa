//! Files into instances and out of them, through the walls.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use modelyard_runner::process::{CallFile, Process, ProcessEvent};
use modelyard_runner::protocol::TypedField;
use modelyard_runner::runner::{InstanceSpec, Runner};
use serde_json::{Value, json};

use crate::harness::{Bench, Instance, until};
use crate::r;

const PYTHON: &str = "
import os
class Deployment:
    def request(self, data):
        return getattr(self, data['how'])(data)
    def copy(self, data):
        with open(data['in']) as given, open('out.txt', 'w') as made:
            made.write(given.read() + ' and back')
        os.unlink(data['in'])
        return {'out': ['out.txt', {'file': 'out.txt', 'bucket': 'b'}]}
    def link(self, data):
        os.symlink(data['to'], 'link')
        return {'out': ['link']}
    def overwrite(self, data):
        # The descriptors of the calls that wait are in this process.
        for fd in os.listdir('/proc/self/fd'):
            for change in (lambda: open('/proc/self/fd/' + fd, 'w'), lambda: os.ftruncate(int(fd), 0)):
                try:
                    if 'bucket' in os.readlink('/proc/self/fd/' + fd):
                        change()
                except OSError:
                    pass
        return {'out': []}
";

/// The same in R, which overwrites nothing: its relay has the descriptors.
const R: &str = "
request <- function(data) switch(data$how,
    copy = {
        writeLines(paste(readLines(data$`in`, warn = FALSE), 'and back'), 'out.txt', sep = '')
        unlink(data$`in`)
        list(out = list('out.txt', list(file = 'out.txt', bucket = 'b')))
    },
    link = { file.symlink(data$to, 'link'); list(out = 'link') },
    list(out = character())
)
";

pub fn field(name: &str, data_type: &str) -> TypedField {
    TypedField { name: name.into(), data_type: data_type.into() }
}

pub fn with_files(mut spec: InstanceSpec) -> InstanceSpec {
    (spec.load.input_type, spec.load.output_type) = ("structured".into(), "structured".into());
    spec.load.input_files = vec![field("in", "file")];
    spec.load.output_fields = vec![field("out", "array_file")];
    spec
}

pub fn hand(process: &Process, call: u64, body: &Value, files: Vec<CallFile>) {
    process.call(call, 0, &Bytes::from_static(b"{}"), &Bytes::from(body.to_string()), files).unwrap();
}

pub fn answer(instance: &mut Instance, call: u64) -> Result<(Value, Vec<Arc<File>>), String> {
    instance.wait(|_, event| match event {
        ProcessEvent::Result(of, body, files) if of == call => {
            Some(Ok((serde_json::from_slice(&body).unwrap(), files)))
        }
        ProcessEvent::Error(of, error) if of == call => Some(Err(error.message)),
        ProcessEvent::Gone(gone) => Some(Err(gone.reason)),
        _ => None,
    })
}

fn text_of(file: &File) -> String {
    let mut text = vec![0; 100];
    let size = file.read_at(&mut text, 0).unwrap();
    String::from_utf8(text[..size].to_vec()).unwrap()
}

async fn come_and_go(bench: Bench, spec: InstanceSpec) {
    let bucket = bench.folder.path().join("bucket");
    File::create(&bucket).unwrap().write_all(b"there").unwrap();
    fs::write(bench.folder.path().join("secret"), "of the server").unwrap();
    let given = || CallFile { name: "given.txt".into(), file: File::open(&bucket).unwrap().into() };
    let mut instance = bench.start(with_files(spec)).await;
    let process = instance.ready();

    hand(&process, 1, &json!({ "how": "overwrite", "in": null }), vec![]);
    for call in 2..=3 {
        hand(&process, call, &json!({ "how": "copy", "in": "ubiops-file://b/given.txt" }), vec![given()]);
    }
    hand(&process, 4, &json!({ "how": "link", "in": null, "to": bench.folder.path().join("secret") }), vec![]);

    assert!(answer(&mut instance, 1).unwrap().1.is_empty());
    for call in 2..=3 {
        let (body, files) = answer(&mut instance, call).unwrap();
        let sent = |index: u32, bucket: Value| json!({ "descriptor": index, "name": "out.txt", "bucket": bucket, "bucket_file": null });
        assert_eq!(body, json!({ "out": [sent(0, Value::Null), sent(1, "b".into())] }));
        assert_eq!(files.iter().map(|file| text_of(file)).collect::<Vec<_>>(), ["there and back"; 2]);
    }
    let linked = answer(&mut instance, 4);
    if bench.runner.walls().level >= 2 {
        let refused = linked.unwrap_err();
        assert!(
            refused.starts_with("The output field 'out' names the file 'link', which cannot be read: "),
            "{refused}"
        );
        assert_eq!(fs::read(&bucket).unwrap(), b"there");
    } else {
        // What user code can read itself it can return.
        assert_eq!(text_of(&linked.unwrap().1[0]), "of the server");
    }
    bench.runner.stop(instance.spec.instance, 1).await;
    until("nobody has the file of the bucket open", || !open_here(&bucket));
    bench.close().await;
}

fn open_here(path: &std::path::Path) -> bool {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|link| link == path)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_and_go_behind_the_best_walls_of_this_host() {
    let bench = Bench::open();
    let spec = bench.spec(PYTHON);
    come_and_go(bench, spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_and_go_behind_those_of_level_2() {
    let bench = Bench::with(|settings| settings.at_most = 2);
    let spec = bench.spec(PYTHON);
    come_and_go(bench, spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_and_go_behind_those_of_level_1() {
    let bench = Bench::with(|settings| (settings.at_most, settings.unsafe_run) = (1, true));
    let spec = bench.spec(PYTHON);
    come_and_go(bench, spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_and_go_for_r() {
    let bench = Bench::open();
    let spec = r::spec_of(&bench, R).await;
    come_and_go(bench, spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_of_r_writes_no_file_of_a_call_that_is_cancelled_and_tells_what_cannot_be_written() {
    let bench = Bench::open();
    let mut spec = with_files(r::spec_of(&bench, R).await);
    spec.limits.file_bytes = 64 << 20;
    let mut instance = bench.start(spec).await;
    let process = instance.ready();
    let large = File::create_new(bench.folder.path().join("large")).unwrap();
    large.set_len(100 << 20).unwrap();
    let body = json!({ "how": "copy", "in": "ubiops-file://b/large" });
    let given =
        || vec![CallFile { name: "large".into(), file: File::open(bench.folder.path().join("large")).unwrap().into() }];
    hand(&process, 1, &body, given());
    assert_eq!(
        answer(&mut instance, 1).unwrap_err(),
        "The file 'large' cannot be given to the deployment: File too large"
    );
    hand(&process, 2, &body, given());
    process.cancel(2);
    assert!(answer(&mut instance, 2).is_err());
    hand(&process, 3, &json!({ "how": "none", "in": null }), vec![]);
    assert!(answer(&mut instance, 3).unwrap().1.is_empty());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_and_deleted_still_counts_as_written() {
    let bench = Bench::open();
    let code = "
import os, socket, struct, time
class Deployment:
    def request(self, data):
        wire = socket.socket(fileno=os.dup(700))
        for index in range(10):
            with open('file', 'wb') as file:
                file.write(os.urandom(1 << 20) * 10)
            with open('file', 'rb') as file:
                frame = struct.pack('>IBQI', 13, 0x0B, 1, index)
                wire.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack('i', file.fileno()))])
            os.unlink('file')
        time.sleep(60)
";
    let mut spec = with_files(bench.spec(code));
    spec.limits.scratch_bytes = 32 << 20;
    let mut instance = bench.start(spec).await;
    let process = instance.ready();
    hand(&process, 1, &json!({ "in": null }), vec![]);
    let told = answer(&mut instance, 1).unwrap_err();
    assert!(told.starts_with("The instance used ") && told.contains("of scratch space"), "{told}");
    bench.close().await;
}
