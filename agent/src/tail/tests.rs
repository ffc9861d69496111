use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use bytes::Bytes;
use davy_agent_core::queue::WhenFull;
use davy_agent_core::record::{Format, Zone};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tempfile::TempDir;

use super::*;
use crate::pipeline::{Feed, Lane};
use crate::telemetry::Telemetry;

/// A tail on a directory of its own, and the lane its records come out of.
struct Bench {
    directory: TempDir,
    tail: Tail,
    lane: Arc<Lane>,
}

impl Bench {
    fn new(pattern: &str, bytes_max: u64, prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        prepare(directory.path());
        let intake = Intake::new(bytes_max, WhenFull::Refuse, Telemetry::new());
        let lane = intake.add_lane("backend", Signal::Logs, Feed::Tail);
        let settings = TailSettings {
            paths: vec![directory.path().join(pattern).display().to_string()],
            file: FileSettings {
                format: Format::Auto,
                zone: Zone::default(),
                line_bytes_max: 1 << 16,
            },
            start_at: StartAt::Beginning,
            resource: LogResource::default(),
        };
        let tail = Tail::start(settings, intake);
        Self {
            directory,
            tail,
            lane,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The bodies of the next records, acknowledged.
    async fn bodies(&self, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.len() < count {
            let batch = self.next_batch().await;
            bodies.extend(texts(&batch));
        }
        assert_eq!(bodies.len(), count, "{bodies:?}");
        bodies
    }

    async fn next_batch(&self) -> Bytes {
        let waited = tokio::time::timeout(Duration::from_secs(20), take(&self.lane)).await;
        waited.expect("a batch in time")
    }

    async fn stop(self) -> Vec<String> {
        let stop = self.tail.stop(Duration::from_secs(5));
        assert!(stop.await, "the tail ends in time");
        let mut rest = Vec::new();
        while let Ok(batch) =
            tokio::time::timeout(Duration::from_millis(50), take(&self.lane)).await
        {
            rest.extend(texts(&batch));
        }
        rest
    }
}

async fn take(lane: &Lane) -> Bytes {
    let batch = lane.batch(1 << 20).await.expect("an open lane");
    lane.ack(0);
    batch.payload.bytes
}

fn texts(batch: &Bytes) -> Vec<String> {
    let request = ExportLogsServiceRequest::decode(batch.clone()).expect("valid");
    let entries = request.resource_logs.into_iter();
    let records = entries
        .flat_map(|entry| entry.scope_logs)
        .flat_map(|scope| scope.log_records);
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        other => panic!("a body that is no text: {other:?}"),
    };
    records
        .map(|record| text(record.body.and_then(|body| body.value)))
        .collect()
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("line {number}\n")).collect()
}

fn bodies(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

/// Scenario: files that are there, that grow, and that appear later.
/// Guarantees: each line once, in order, and the rest of a line when the tail stops.
#[tokio::test]
async fn lines_are_followed_in_old_and_new_files() {
    let bench = Bench::new("*.log", 1 << 20, |top| {
        append(&top.join("a.log"), &lines(0..3));
    });
    assert_eq!(bench.bodies(3).await, bodies(0..3));
    append(&bench.path("a.log"), &lines(3..5));
    assert_eq!(bench.bodies(2).await, bodies(3..5));
    append(&bench.path("b.log"), &lines(5..6));
    append(&bench.path("b.txt"), "not followed\n");
    assert_eq!(bench.bodies(1).await, bodies(5..6));
    append(&bench.path("b.log"), "no newline");
    assert_eq!(bench.stop().await, ["no newline"]);
}

/// Scenario: the file is renamed while its writer still has it, as logrotate does.
/// Guarantees: what the writer adds to the old file comes too, and nothing twice, though both names
/// match.
#[tokio::test]
async fn a_file_that_is_rotated_away_is_read_to_its_end() {
    let bench = Bench::new("app*.log", 1 << 20, |top| {
        append(&top.join("app.log"), &lines(0..2));
    });
    assert_eq!(bench.bodies(2).await, bodies(0..2));
    let mut writer = OpenOptions::new()
        .append(true)
        .open(bench.path("app.log"))
        .expect("opened");
    fs::rename(bench.path("app.log"), bench.path("app-1.log")).expect("renamed");
    append(&bench.path("app.log"), &lines(4..5));
    writer.write_all(lines(2..4).as_bytes()).expect("written");
    let mut found = bench.bodies(3).await;
    found.sort();
    assert_eq!(found, bodies(2..5));

    let mut writer = OpenOptions::new()
        .append(true)
        .open(bench.path("app.log"))
        .expect("opened");
    fs::remove_file(bench.path("app.log")).expect("removed");
    writer.write_all(lines(5..6).as_bytes()).expect("written");
    assert_eq!(bench.bodies(1).await, bodies(5..6));
    assert_eq!(bench.stop().await, [""; 0]);
}

/// Scenario: the file is copied and emptied, as logrotate's `copytruncate` does.
/// Guarantees: it is read from its start, shorter or longer than before, and a hole is skipped.
#[tokio::test]
async fn a_file_that_is_emptied_is_read_from_its_start() {
    let bench = Bench::new("app.log", 1 << 20, |top| {
        append(&top.join("app.log"), &lines(0..9));
    });
    assert_eq!(bench.bodies(9).await, bodies(0..9));
    let path = bench.path("app.log");
    let file = OpenOptions::new().write(true).open(&path).expect("opened");
    file.set_len(0).expect("emptied");
    append(&path, &lines(10..12));
    assert_eq!(bench.bodies(2).await, bodies(10..12));

    file.set_len(0).expect("emptied");
    append(&path, &lines(20..40));
    assert_eq!(bench.bodies(20).await, bodies(20..40));

    // A writer without O_APPEND goes on at its old place, and leaves a hole before it.
    let mut hole = File::create(&path).expect("emptied");
    hole.set_len(5000).expect("a hole");
    std::io::Seek::seek(&mut hole, std::io::SeekFrom::End(0)).expect("at its end");
    hole.write_all(lines(40..41).as_bytes()).expect("written");
    assert_eq!(bench.bodies(1).await, bodies(40..41));
    assert_eq!(bench.stop().await, [""; 0]);
}

/// Scenario: the backend takes nothing while much is written and the file is rotated twice.
/// Guarantees: not a line is lost, memory stays bounded, and offsets move only with
/// acknowledgements.
#[tokio::test]
async fn nothing_is_lost_while_the_pipeline_is_full() {
    let bench = Bench::new("app.log", 64 << 10, |_| ());
    let path = bench.path("app.log");
    append(&path, &lines(0..20_000));
    while bench.lane.bytes() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for rotation in 1..3 {
        fs::rename(&path, bench.path(&format!("app.log.{rotation}"))).expect("renamed");
        append(&path, &lines(rotation * 20_000..(rotation + 1) * 20_000));
        // Each of the files has to be there for a moment, or no tail could open it.
        while bench.tail.status().files.len() <= rotation as usize {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // One payload of a batch's size is let in; no second one follows it.
    let held = bench.lane.bytes();
    assert!(
        held > 0 && bench.lane.counts().pushed < 20_000,
        "{held} bytes held"
    );
    let status = bench.tail.status();
    assert!(
        status.files.iter().all(|file| file.committed_bytes == 0),
        "{status:?}"
    );

    let mut found = bench.bodies(60_000).await;
    let number = |text: &String| {
        text.trim_start_matches("line ")
            .parse::<u32>()
            .expect("one")
    };
    found.sort_by_key(number);
    assert_eq!(found, bodies(0..60_000));
    let committed = || {
        let files = bench.tail.status().files;
        files
            .iter()
            .all(|file| file.committed_bytes == file.read_bytes)
    };
    for _ in 0..200 {
        if committed() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(committed(), "{:?}", bench.tail.status());
    assert_eq!(bench.stop().await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told() {
    let bench = Bench::new("*.log", 1 << 20, |top| {
        // A link to nowhere is no file; a directory is not either.
        std::os::unix::fs::symlink("nowhere", top.join("link.log")).expect("linked");
        fs::create_dir(top.join("dir.log")).expect("made");
        append(&top.join("real.log"), &lines(0..1));
        std::os::unix::fs::symlink("real.log", top.join("same.log")).expect("linked");
    });
    assert_eq!(bench.bodies(1).await, bodies(0..1));
    let status = bench.tail.status();
    assert_eq!((status.files.len(), status.problems.len()), (1, 0));
    assert_eq!(bench.stop().await, [""; 0]);
}

#[test]
fn a_partial_line_is_taken_after_five_seconds() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.log");
    append(&path, "whole\nhalf");
    let start = clock::monotonic();
    let settings = FileSettings {
        format: Format::Text,
        zone: Zone::default(),
        line_bytes_max: 100,
    };
    let mut file = TailedFile::open(&path, settings, false, start).expect("opened");
    let mut buffer = [0; 100];
    let mut read = |seconds: u64| {
        let mut records = Vec::new();
        let now = (
            UnixNanos::from_seconds(1),
            start + Duration::from_secs(seconds),
        );
        while file.read(&mut buffer, now, &mut records).expect("read") == Progress::More {}
        records.len()
    };
    assert_eq!([read(0), read(4), read(5), read(20)], [1, 0, 1, 0]);
}
