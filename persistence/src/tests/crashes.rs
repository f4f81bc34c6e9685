//! What must hold: a commit that was answered is there after any failure, and one that was not is
//! there whole or not at all. How we look: each life of a store is run once undisturbed, which
//! gives its image after every commit; then it is run against a disk that fails, opened again, and
//! must show the image after the last answered commit or the one after it.

use super::disk::{Disk, Fault, Random};
use super::scenario::{check, commits, image, images};
use crate::{Change, Store, StoreError};

/// Seeds of the power cuts; a few hundred take about a second.
const POWER_CUTS: u64 = 250;

#[test]
fn after_each_single_failure_the_store_goes_on_where_it_was() {
    let seed = 5;
    let commits = commits(seed);
    let images = images(&commits);
    let disk = Disk::default();
    live(&commits, || Store::open_backend(disk.clone())).unwrap();
    let operations = disk.operations();
    assert!(operations > 100, "{operations} operations are no life");

    for at in 0..operations {
        let disk = Disk::default().with_fault(Fault::Once(at));
        let mut answered = 0;
        let mut failures = 0;
        // The one failure may hit the opening, so there are at most three.
        while answered < commits.len() {
            let Ok(mut store) = Store::open_backend(disk.clone()) else {
                failures += 1;
                assert!(
                    failures < 2,
                    "operation {at}: it can not be opened any more"
                );
                continue;
            };
            let found = image(&store);
            // The answer to a commit may be lost, the commit itself not half.
            if answered + 1 < images.len() && found == images[answered + 1] {
                answered += 1;
            }
            assert_eq!(
                found, images[answered],
                "operation {at}, after {answered} commits"
            );
            check(&store);
            for changes in &commits[answered..] {
                match store.commit(changes) {
                    Ok(_) => answered += 1,
                    Err(error) => {
                        assert!(error.needs_reopen(), "operation {at}: {error}");
                        let again = store.commit(changes);
                        assert!(
                            matches!(&again, Err(error) if error.needs_reopen()),
                            "operation {at}: {again:?}"
                        );
                        failures += 1;
                        break;
                    }
                }
            }
        }
        let store = Store::open_backend(disk).unwrap();
        assert_eq!(
            &image(&store),
            images.last().unwrap(),
            "operation {at}, at the end"
        );
    }
}

#[test]
fn after_a_power_cut_every_answered_commit_is_there_and_no_other_is_half() {
    for seed in 0..POWER_CUTS {
        let _announced = Announced(seed);
        let mut random = Random::new(seed);
        let commits = commits(seed);
        let images = images(&commits);
        let disk = Disk::default().with_fault(Fault::From(random.below(130)));
        let answered = match live(&commits, || Store::open_backend(disk.clone())) {
            Ok(()) => commits.len(),
            Err(answered) => answered,
        };
        let mut left = disk.after_power_cut(&mut random);
        if random.below(2) == 0 {
            // And once more while it is being repaired.
            let disk = Disk::holding(left).with_fault(Fault::From(random.below(60)));
            let _ = Store::open_backend(disk.clone());
            left = disk.after_power_cut(&mut random);
        }
        let mut store = Store::open_backend(Disk::holding(left))
            .unwrap_or_else(|error| panic!("seed {seed}, after {answered} commits: {error}"));
        let found = image(&store);
        let next = images.get(answered + 1);
        let at = if Some(&found) == next {
            answered + 1
        } else {
            answered
        };
        assert_eq!(found, images[at], "seed {seed}, after {answered} commits");
        check(&store);

        for changes in &commits[at..] {
            store
                .commit(changes)
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
        assert_eq!(
            &image(&store),
            images.last().unwrap(),
            "seed {seed}, at the end"
        );
    }
}

#[test]
fn one_commit_of_many_changes_syncs_as_often_as_one_of_one_change() {
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone()).unwrap();
    let mut cost = |changes: &[Change]| {
        let before = disk.operations();
        store.commit(changes).unwrap();
        disk.operations() - before
    };
    let commits = commits(1);
    let all: Vec<Change> = commits.iter().flatten().cloned().collect();
    let together = cost(&all);
    let apart: u64 = commits.iter().map(|changes| cost(changes)).sum();
    assert!(
        together * 2 < apart,
        "{together} operations together, {apart} apart"
    );
}

/// Lives until the first error, and answers how many commits were answered before it.
fn live(
    commits: &[Vec<Change>],
    open: impl Fn() -> Result<Store, StoreError>,
) -> Result<(), usize> {
    let mut store = open().map_err(|_| 0_usize)?;
    for (answered, changes) in commits.iter().enumerate() {
        store.commit(changes).map_err(|_| answered)?;
    }
    Ok(())
}

/// Says which seed fails, whatever fails in it.
struct Announced(u64);

impl Drop for Announced {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}
