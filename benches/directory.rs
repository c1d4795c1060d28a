//! The directory without sockets, each figure beside the limit it is to be judged by, in one run:
//! a group of creates beside a raw append and fdatasync of the same bytes, reads beside a BTreeMap.
//!
//! `cargo bench --bench directory`; `ROSTERD_BENCH_USERS` sets the size of the directory that reads
//! meet (100,000 if not set), `TMPDIR` the disk.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rosterd::directory::{Directory, LockedDir, Options};
use rosterd::domain::{
    Actor, Attributes, CanonicalEmail, Email, Name, NewUser, User, UserId, UserStatus, Write,
    WriteOp,
};

/// Bytes of a frame with one create, and of each further create in it.
const FRAME_BYTES: usize = 480;
const CREATE_BYTES: usize = 330;

fn open(path: &Path) -> Directory {
    // Never started: every directory here is new.
    let recoverer = PathBuf::from("rosterd");
    LockedDir::lock(path).unwrap().open(&Options::new(recoverer, 64 << 20)).unwrap()
}

fn create(number: u64) -> Write {
    // Emails do not arrive in order.
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let user = NewUser {
        email: Email::parse(&format!("{scattered:016x}@example.org")).unwrap(),
        name: Name::parse("Ada Lovelace").unwrap(),
        status: UserStatus::Active,
        attributes: Attributes::default(),
        credential: None,
    };
    Write { actor: Actor::anonymous(), request: None, op: WriteOp::Create(user) }
}

fn creates(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = criterion.benchmark_group("create");
    for size in [1usize, 16, 64, 256] {
        group.throughput(Throughput::Elements(size as u64));
        let dir = tempfile::tempdir().unwrap();
        let directory = open(dir.path());
        let mut number = 0;
        group.bench_function(BenchmarkId::new("directory", size), |bencher| {
            bencher.iter_batched(
                || {
                    let first = number;
                    number += size as u64;
                    (first..number).map(create).collect::<Vec<_>>()
                },
                |writes| {
                    let answers = runtime.block_on(directory.write_all(writes));
                    assert!(answers.iter().all(Result::is_ok));
                },
                criterion::BatchSize::PerIteration,
            );
        });
        directory.close().unwrap();
        group.bench_function(BenchmarkId::new("raw append and fdatasync", size), |bencher| {
            let file = tempfile::tempfile().unwrap();
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 1 << 30).unwrap();
            file.sync_all().unwrap();
            let bytes = vec![0x5a; FRAME_BYTES + (size - 1) * CREATE_BYTES];
            let mut at = 0;
            bencher.iter(|| {
                file.write_all_at(&bytes, at).unwrap();
                file.sync_data().unwrap();
                at = (at + bytes.len() as u64) % (1 << 29);
            });
        });
    }
    group.finish();
}

struct Loaded {
    directory: Directory,
    users: Vec<User>,
    _dir: tempfile::TempDir,
}

fn load() -> Loaded {
    let users = std::env::var("ROSTERD_BENCH_USERS").map_or(100_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut created = Vec::new();
    for first in (0..users).step_by(1000) {
        let writes = (first..users.min(first + 1000)).map(create).collect();
        let answers = runtime.block_on(directory.write_all(writes));
        created.extend(answers.into_iter().map(|answer| answer.unwrap().unwrap()));
    }
    Loaded { directory, users: created, _dir: dir }
}

fn reads(criterion: &mut Criterion) {
    let Loaded { directory, users, _dir } = load();
    let by_id: BTreeMap<UserId, User> = users.iter().map(|u| (u.id, u.clone())).collect();
    let by_email: BTreeMap<CanonicalEmail, UserId> =
        users.iter().map(|u| (u.email.canonical().clone(), u.id)).collect();
    // Every user once, in an order that no cache foresees.
    let mut next = 0;
    let mut pick = || {
        next = (next + 48_271) % users.len();
        &users[next]
    };
    let mut group = criterion.benchmark_group("get");
    group.bench_function("directory", |b| b.iter(|| black_box(directory.user(pick().id)).unwrap()));
    group.bench_function("BTreeMap", |b| b.iter(|| black_box(by_id[&pick().id].clone())));
    group.finish();

    let mut group = criterion.benchmark_group("get by email");
    group.bench_function("directory", |b| {
        b.iter(|| black_box(directory.user_by_email(pick().email.canonical())).unwrap());
    });
    group.bench_function("BTreeMap", |b| {
        b.iter(|| black_box(by_id[&by_email[pick().email.canonical()]].clone()));
    });
    group.finish();

    let mut group = criterion.benchmark_group("page of 100");
    group.throughput(Throughput::Elements(100));
    group.bench_function("directory", |b| {
        b.iter(|| black_box(directory.users(Some(pick().id), 100)));
    });
    group.bench_function("BTreeMap", |b| {
        b.iter(|| {
            black_box(by_id.range(pick().id..).take(100).map(|e| e.1.clone()).collect::<Vec<_>>())
        });
    });
    group.finish();
    directory.close().unwrap();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = creates, reads
}
criterion_main!(benches);
