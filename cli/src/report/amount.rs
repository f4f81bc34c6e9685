//! How far a transfer is, in words.

use indicatif::HumanBytes;
use longhaul::Progress;

/// How far a transfer is, in a few words.
pub(crate) fn amount(progress: &Progress) -> String {
    let held = progress.received_bytes.max(progress.sent_bytes);
    match progress.total_bytes {
        Some(0) => "0 B".to_owned(),
        Some(total) => {
            let percent = u128::from(held) * 100 / u128::from(total);
            format!("{percent}% of {}", HumanBytes(total))
        }
        None => HumanBytes(held).to_string(),
    }
}

/// How much of a file was sent, and how much of that the server has said it has.
pub(super) fn amounts(progress: &Progress) -> String {
    let sent = HumanBytes(progress.sent_bytes);
    let mut text = match progress.acknowledged_bytes {
        0 => format!("{sent} sent"),
        bytes => format!("{sent} sent, {} acknowledged", HumanBytes(bytes)),
    };
    if let Some(total_bytes) = progress.total_bytes {
        text.push_str(&format!(" of {}", HumanBytes(total_bytes)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_told_from_what_was_acknowledged() {
        let table = [
            (
                512,
                480,
                Some(2048),
                "512 MiB sent, 480 MiB acknowledged of 2.00 GiB",
            ),
            (512, 0, Some(2048), "512 MiB sent of 2.00 GiB"),
            (1, 0, None, "1 MiB sent"),
        ];
        for (sent, acknowledged, total, expected) in table {
            let mib = |count: u64| count * 1024 * 1024;
            let text = amounts(&Progress {
                received_bytes: 0,
                sent_bytes: mib(sent),
                acknowledged_bytes: mib(acknowledged),
                total_bytes: total.map(mib),
            });
            assert_eq!(text.replace(".00 MiB", " MiB"), expected);
        }
    }
}
