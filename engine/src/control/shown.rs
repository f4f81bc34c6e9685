//! What of a request everybody may see.

use super::TaskDocument;
use crate::task::Spec;

/// Metadata of an upload that says what the file is and proves nothing: the names that clients of tus
/// give it. Any other may be a token.
const SHOWN_METADATA: [&str; 4] = ["filename", "filetype", "name", "type"];

impl TaskDocument {
    /// The request without its secrets: no credentials, no values of header fields, no values of
    /// metadata but those that name the file, and not the URL of the upload at its server, which whoever
    /// knows it may write to. Every [`TaskDocument`] holds one that was made so.
    #[must_use]
    pub fn shown(mut request: Spec) -> Spec {
        match &mut request {
            Spec::Download(spec) => {
                spec.credentials = None;
                blank(&mut spec.headers, |_| false);
            }
            Spec::Upload(spec) => {
                spec.credentials = None;
                spec.place = None;
                blank(&mut spec.headers, |_| false);
                blank(&mut spec.metadata, |name| SHOWN_METADATA.contains(&name));
            }
        }
        request
    }
}

/// Leaves the names, and the values of those that may be seen.
fn blank(pairs: &mut [(String, String)], is_shown: impl Fn(&str) -> bool) {
    for (_, value) in pairs.iter_mut().filter(|(name, _)| !is_shown(name)) {
        value.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_in_the_document_of_a_task() {
        let download = r#"{
            "kind": "download", "url": "http://a/b",
            "destination": {"kind": "file", "value": "/tmp/b"},
            "credentials": {"kind": "bearer", "value": "hush"},
            "headers": [["Authorization", "hush"]]
        }"#;
        let upload = r#"{
            "kind": "upload", "url": "http://a/b", "source": "/tmp/b",
            "place": "http://a/hush",
            "credentials": {"kind": "login", "value": {"username": "me", "password": "hush"}},
            "headers": [["X-Key", "hush"]],
            "metadata": [["token", "hush"], ["filename", "b.txt"]]
        }"#;
        for (text, kept) in [(download, "Authorization"), (upload, "b.txt")] {
            let request: Spec = serde_json::from_str(text).expect("a request");
            let shown = TaskDocument::shown(request);
            let written = serde_json::to_string(&shown).expect("it is written");
            assert!(!written.contains("hush"), "{written}");
            assert!(written.contains(kept), "{written}");
            assert_eq!(serde_json::from_str(&written).ok(), Some(shown));
        }
    }
}
