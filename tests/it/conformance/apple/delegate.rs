//! What a delegate is told, in which order, and what its answers do.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use longhaul::{
    Challenge, Credentials, Delegate, Disposition, FailureKind, Finished, Outcome, Renewal, TaskId,
};
use longhaul_support::auth::Auth;
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Framing, Reply};

use super::super::stage::{
    CONTENT, PATH, Stage, Told, Witness, attend, completed, failure, failure_of, finished,
};
use crate::bench::{MIB, SECRET, next_end, run};

fn login() -> Disposition {
    let credentials = Credentials::login("user", SECRET);
    Disposition::UseCredential(Renewal::default().with_credentials(credentials))
}

/// A resource that is shown to who gives a name and a password.
fn protected() -> Resource {
    Resource::new(CONTENT).protected_by(Auth::basic("user", SECRET))
}

/// What a download hears whose challenges are answered so, and how it has ended.
fn challenged(stage: &Stage, disposition: &Disposition) -> (Vec<Challenge>, Outcome) {
    let answer = disposition.clone();
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let witness = witness.answering(move || answer.clone());
        let guard = attend(&session, witness).await;
        stage.start(&session, "a").await;
        let told = heard.until_told(&Told::AllFinished);
        guard.detach().await;
        engine.shutdown().await;
        let challenges = told.iter().filter_map(|told| match told {
            Told::Challenged(_, challenge) => Some(challenge.clone()),
            _ => None,
        });
        (challenges.collect(), completed(&told)[0].1.clone())
    })
}

/// Foundation, NSURLSession.h: NSURLSessionDownloadDelegate and NSURLSessionTaskDelegate.
#[test]
fn a_download_is_told_of_in_the_order_of_foundation() {
    let slow = || Reply::of(protected()).bytes_per_second(8 * MIB);
    // The second one names what the credentials are for.
    let asks = || Reply::of(protected());
    let stage = Stage::with([asks(), asks(), slow().truncate_at(MIB), slow()]);
    let told = run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness.answering(login)).await;
        stage.start(&session, "a").await;
        let told = heard.until_told(&Told::AllFinished);
        guard.detach().await;
        engine.shutdown().await;
        told
    });
    let place = |told: &Told| match told {
        Told::Challenged(..) => 0,
        // Either may come again and again.
        Told::Resumed(..) | Told::Wrote(..) => 1,
        Told::Finished(..) => 2,
        Told::Measured(..) => 3,
        Told::Completed(..) => 4,
        Told::AllFinished => 5,
        other => panic!("{other:?}"),
    };
    let mut places: Vec<_> = told.iter().map(place).collect();
    assert!(places.is_sorted(), "{told:?}");
    places.dedup();
    assert_eq!(places, [0, 1, 2, 3, 4, 5], "{told:?}");
    let has_resumed = |told: &Told| matches!(told, Told::Resumed(_, MIB, _));
    assert!(told.iter().any(has_resumed), "{told:?}");
}

/// Foundation, NSURLSession.h: URLSession:task:didCompleteWithError:.
#[test]
fn that_it_has_completed_is_the_last_message_of_a_task_also_when_all_went_well() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        let well = stage.start(&session, "a").await.id();
        let mut told = heard.until_told(&Told::AllFinished);
        let missing = session
            .start_download(stage.request_for("/missing", "b"))
            .await;
        let missing = missing.unwrap().id();
        told.extend(heard.until_told(&Told::AllFinished));
        guard.detach().await;
        engine.shutdown().await;
        told.extend(heard.until_let_go());
        told.retain(|told| *told != Told::AllFinished);
        let ends: Vec<_> = told
            .iter()
            .map(|told| match told {
                Told::Completed(task, _) => Some(*task),
                _ => None,
            })
            .collect();
        let of_well = ends.iter().position(|end| *end == Some(well)).unwrap();
        assert!(matches!(
            &told[of_well],
            Told::Completed(_, Outcome::Finished(_))
        ));
        let after = told[of_well + 1..]
            .iter()
            .filter(|told| !matches!(told, Told::Measured(..)));
        assert_eq!(after.count(), 1, "{told:?}");
        assert_eq!(ends.last(), Some(&Some(missing)), "{told:?}");
    });
}

/// Foundation, NSURLSession.h: URLSession:downloadTask:didFinishDownloadingToURL:.
#[test]
fn the_whole_file_is_where_it_was_said_to_be_while_the_delegate_is_told_so() {
    struct Opens(std::sync::mpsc::Sender<bool>, std::path::PathBuf);
    impl Delegate for Opens {
        fn did_finish_downloading(&self, _: TaskId, file: &Finished) {
            let is_whole = CONTENT.verify_file(&file.path).is_ok();
            let _ = self.0.send(is_whole && file.path == self.1);
        }
    }
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let (sender, heard) = channel();
        let opens = Opens(sender, stage.bench.file("a"));
        let guard = session.set_delegate(Arc::new(opens)).await.unwrap();
        stage.start(&session, "a").await;
        assert_eq!(
            heard.recv_timeout(longhaul_support::log::PATIENCE),
            Ok(true)
        );
        guard.detach().await;
        engine.shutdown().await;
    });
    // It is at its own place already, and stays.
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: URLSessionDidFinishEventsForBackgroundURLSession:.
#[test]
fn that_all_was_told_is_told_after_every_message_that_waited() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            let task = stage.start(&session, name).await;
            task.finished().await.unwrap();
            ids.push(task.id());
        }
        engine.shutdown().await;
        // The app comes back.
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        let told = heard.until_told(&Told::AllFinished);
        let ends: Vec<_> = completed(&told).into_iter().map(|(task, _)| task).collect();
        assert_eq!(ends, ids);
        guard.detach().await;
        engine.shutdown().await;
        assert_eq!(heard.until_let_go(), []);
    });
}

/// Foundation, NSURLSession.h: URLSession:task:willPerformHTTPRedirection:, not called in the
/// background.
#[test]
fn redirects_are_followed_and_nobody_is_asked() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let mut events = session.events().await.unwrap();
        for status in [301, 302, 303, 307, 308] {
            let (from, name) = (format!("/{status}"), status.to_string());
            stage.server.script(&from, [Reply::redirect(status, PATH)]);
            let request = stage.request_for(&from, &name);
            session.start_download(request).await.unwrap();
            let (outcome, metrics) = next_end(&mut events).await;
            assert_eq!(finished(&outcome).status, 200);
            assert_eq!(metrics.redirect_count, 1, "{status}");
            stage.assert_file(&name);
        }
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, test_httpRedirectionWithCode300 and test_httpRedirectionWithCode304.
#[test]
fn a_status_that_offers_choices_or_nothing_new_is_not_followed() {
    for status in [300, 304] {
        let stage = Stage::new();
        stage
            .server
            .script("/from", [Reply::redirect(status, PATH)]);
        run(failure_of(&stage, stage.request_for("/from", "a")));
        assert_eq!(
            (stage.asked("/from"), stage.asked(PATH)),
            (1, 0),
            "{status}"
        );
    }
}

/// swift-corelibs-foundation, test_httpRedirectionWithInCompleteURL and
/// test_httpRedirectionWithEncodedQuery.
#[test]
fn a_relative_place_is_understood_and_its_query_is_sent_as_it_is() {
    let stage = Stage::new();
    stage.server.serve("/x/b", Resource::new(CONTENT));
    for place in ["b?q=a%20b%2Fc", "/x/b?q=a%20b%2Fc", "../x/b?q=a%20b%2Fc"] {
        stage
            .server
            .script("/x/from", [Reply::redirect(302, place)]);
        run(async {
            let (engine, session) = stage.open().await;
            let target = format!("{}", stage.asked("/x/b"));
            let request = stage.request_for("/x/from", &target);
            let task = session.start_download(request).await.unwrap();
            finished(&task.finished().await.unwrap());
            engine.shutdown().await;
        });
        let last = stage.server.requests_for("/x/b").pop().unwrap();
        assert_eq!(last.query.as_deref(), Some("q=a%20b%2Fc"), "{place}");
    }
}

/// Foundation, NSURLSession.h: NSURLSessionAuthChallengeUseCredential.
#[test]
fn a_challenge_that_is_answered_with_a_credential_lets_the_task_go_on() {
    let stage = Stage::with([Reply::of(protected())]);
    let (challenges, outcome) = challenged(&stage, &login());
    assert_eq!(challenges.len(), 1);
    assert_eq!(
        (challenges[0].status, &challenges[0].scheme[..]),
        (401, "Basic")
    );
    finished(&outcome);
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: NSURLSessionAuthChallengePerformDefaultHandling.
#[test]
fn a_challenge_that_is_left_to_the_default_goes_on_with_what_there_is_and_fails_without() {
    let stage = Stage::with([Reply::of(protected())]);
    let default = Disposition::PerformDefaultHandling;
    let (challenges, outcome) = challenged(&stage, &default);
    assert_eq!(challenges.len(), 1);
    assert_eq!(failure(&outcome).kind(), FailureKind::Authentication);
}

/// Foundation, NSURLSession.h: NSURLSessionAuthChallengeCancelAuthenticationChallenge.
#[test]
fn a_challenge_that_is_cancelled_cancels_the_task() {
    let stage = Stage::with([Reply::of(protected())]);
    let (_, outcome) = challenged(&stage, &Disposition::Cancel);
    assert_eq!(outcome, Outcome::Cancelled);
}

/// Foundation, NSURLSession.h: NSURLSessionAuthChallengeRejectProtectionSpace.
#[test]
fn a_protection_space_that_is_rejected_makes_room_for_the_next_one() {
    let two = Reply::status(401)
        .header(
            "WWW-Authenticate",
            "Digest realm=\"d\", nonce=\"n\", qop=\"auth\"",
        )
        .add_header("WWW-Authenticate", "Basic realm=\"b\"");
    let stage = Stage::with([two]);
    let reject = Disposition::RejectProtectionSpace;
    let (challenges, outcome) = challenged(&stage, &reject);
    let schemes: Vec<_> = challenges.iter().map(|asked| &asked.scheme[..]).collect();
    assert_eq!(schemes, ["Digest", "Basic"]);
    assert_eq!(failure(&outcome).kind(), FailureKind::Authentication);
}

/// Foundation, NSURLSession.h: URLSession:task:didReceiveChallenge:, which is called for the tasks.
#[test]
fn a_challenge_names_its_task_its_place_and_the_answers_that_failed() {
    let stage = Stage::with([Reply::of(protected())]);
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let witness = witness.answering(move || {
            *count.lock().unwrap() += 1;
            let wrong = Credentials::login("user", "wrong");
            match *count.lock().unwrap() {
                1 => Disposition::UseCredential(Renewal::default().with_credentials(wrong)),
                _ => login(),
            }
        });
        let guard = attend(&session, witness).await;
        let task = stage.start(&session, "a").await.id();
        let told = heard.until_told(&Told::AllFinished);
        let host = stage.server.address().to_string();
        let challenges: Vec<_> = told
            .iter()
            .filter_map(|told| match told {
                Told::Challenged(of, challenge) => {
                    Some((*of, challenge.host.clone(), challenge.previous_failures))
                }
                _ => None,
            })
            .collect();
        assert_eq!(challenges, [(task, host.clone(), 0), (task, host, 1)]);
        guard.detach().await;
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// swift-corelibs-foundation, test_dataTaskWithSharedDelegate.
#[test]
fn one_delegate_serves_all_tasks_of_a_session() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        let gate = Gate::new();
        stage
            .server
            .script(PATH, [Reply::normal().hold_head(&gate)]);
        let first = stage.start(&session, "a").await.id();
        let second = stage.start(&session, "b").await.id();
        gate.open();
        let told = heard.until_told(&Told::AllFinished);
        let mut ends: Vec<_> = completed(&told).into_iter().map(|(task, _)| task).collect();
        ends.sort();
        assert_eq!(ends, [first, second]);
        guard.detach().await;
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: URLSession:downloadTask:didResumeAtOffset:expectedTotalBytes:.
#[test]
fn a_download_that_goes_on_tells_where_and_the_length_of_the_whole() {
    let stage = Stage::with([Reply::normal().truncate_at(MIB), Reply::normal()]);
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        let task = stage.start(&session, "a").await.id();
        let told = heard.until_told(&Told::AllFinished);
        let expected = Told::Resumed(task, MIB, Some(CONTENT.len()));
        assert!(told.contains(&expected), "{told:?}");
        guard.detach().await;
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: didResumeAtOffset, when the file on the server was modified.
#[test]
fn a_download_whose_resource_has_changed_goes_on_at_zero() {
    const NEW: Content = Content::new(902, MIB + 1);
    let new = Reply::of(Resource::new(NEW).etag("new"));
    let stage = Stage::with([Reply::normal().truncate_at(MIB), new]);
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        let task = stage.start(&session, "a").await.id();
        let told = heard.until_told(&Told::AllFinished);
        let resumed = told.iter().filter(|told| matches!(told, Told::Resumed(..)));
        let expected = Told::Resumed(task, 0, Some(NEW.len()));
        assert!(resumed.eq([&expected]), "{told:?}");
        guard.detach().await;
        engine.shutdown().await;
    });
    stage.bench.assert_file("a", NEW);
}

/// Foundation, NSURLSession.h: didWriteData, without a Content-Length.
#[test]
fn a_total_that_no_server_has_named_is_told_as_unknown() {
    let endless = Reply::normal()
        .framing(Framing::Chunked)
        .bytes_per_second(8 * MIB);
    let stage = Stage::with([endless]);
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        stage.start(&session, "a").await;
        let told = heard.until_told(&Told::AllFinished);
        let totals: Vec<_> = told
            .iter()
            .filter_map(|told| match told {
                Told::Wrote(_, progress) => Some(progress.total_bytes),
                _ => None,
            })
            .collect();
        assert!(totals.contains(&None), "{told:?}");
        guard.detach().await;
        engine.shutdown().await;
    });
}
