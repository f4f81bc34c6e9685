//! Tests of the rules for digests of files.

use proptest::prelude::*;

use super::*;

/// The digests of `abc` as the standards print them.
const ABC: [&str; 5] = [
    "sha-256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha-512=ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
     2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    "sha-1=a9993e364706816aba3e25717850c26c9cd0d89d",
    "md5=900150983cd24fb0d6963f7d28e17f72",
    "blake3=6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
];

fn digest(text: &str) -> Digest {
    text.parse().expect("a digest")
}

#[test]
fn every_algorithm_gives_the_digest_that_its_standard_prints() {
    let mut hasher = Hasher::new(Algorithm::ALL.into_iter().chain(Algorithm::ALL));
    hasher.update(b"a");
    hasher.update(b"");
    hasher.update(b"bc");
    let found: Vec<String> = hasher.finish().iter().map(Digest::to_string).collect();
    assert_eq!(found, ABC);
    assert!(Hasher::new([]).is_empty());
}

#[test]
fn a_digest_is_read_in_the_shapes_that_people_paste() {
    let hex = "900150983cd24fb0d6963f7d28e17f72";
    for text in [
        format!("md5={hex}"),
        format!("MD5:{}", hex.to_ascii_uppercase()),
        format!(" Md-5 = {hex}\n"),
    ] {
        assert_eq!(digest(&text).to_string(), format!("md5={hex}"), "{text}");
    }
    let sha = ABC[0].replace("sha-256=", "SHA256:");
    assert_eq!(digest(&sha).algorithm(), Algorithm::Sha256);
}

#[test]
fn a_digest_that_cannot_be_right_says_what_to_do() {
    let md5 = Algorithm::Md5;
    let table = [
        (
            "900150983cd24fb0d6963f7d28e17f72",
            DigestError::MissingAlgorithm,
        ),
        ("", DigestError::MissingAlgorithm),
        ("crc32=00000000", DigestError::UnknownAlgorithm),
        ("=00", DigestError::UnknownAlgorithm),
        ("md5=xyz", DigestError::NotHexadecimal { algorithm: md5 }),
        ("md5=ää", DigestError::NotHexadecimal { algorithm: md5 }),
        (
            "md5=",
            DigestError::WrongLength {
                algorithm: md5,
                needed: 32,
                found: 0,
            },
        ),
        (
            "md5=abc",
            DigestError::WrongLength {
                algorithm: md5,
                needed: 32,
                found: 3,
            },
        ),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<Digest>(), Err(expected.clone()), "{text}");
        assert!(
            expected.to_string().contains(';'),
            "{expected} names no next step"
        );
    }
    assert_eq!(Digest::new(Algorithm::Sha1, [0; 19]), None);
}

#[test]
fn a_promise_that_was_broken_or_never_looked_at_does_not_verify() {
    let [sha, _, sha1, md5, _] = ABC.map(digest);
    let wrong = Digest::new(Algorithm::Md5, [0; 16]).expect("a digest");
    assert_eq!(verify(&[], &[]), Ok(()));
    assert_eq!(
        verify(&[md5.clone(), sha.clone()], &[sha.clone(), md5.clone()]),
        Ok(())
    );
    let broken = verify(&[sha.clone(), wrong.clone()], &[sha.clone(), md5.clone()])
        .expect_err("they differ");
    assert_eq!(
        broken,
        Mismatch {
            expected: wrong.clone(),
            actual: Some(md5.clone())
        }
    );
    assert!(broken.to_string().contains(&md5.to_string()), "{broken}");
    let unseen = verify(std::slice::from_ref(&sha1), &[sha, md5]).expect_err("they differ");
    assert_eq!(
        unseen,
        Mismatch {
            expected: sha1,
            actual: None
        }
    );
}

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic(text: String, hex in "(md5|sha-1)[=:][0-9a-fA-F]{0,41}") {
        let _ = (text.parse::<Digest>(), hex.parse::<Digest>());
    }

    #[test]
    fn a_digest_reads_back_as_it_was_printed(
        algorithm in proptest::sample::select(Algorithm::ALL.to_vec()),
        bytes: [u8; 64],
    ) {
        let digest = Digest::new(algorithm, &bytes[..algorithm.digest_bytes()]).expect("a digest");
        prop_assert_eq!(digest.to_string().parse(), Ok(digest.clone()));
    }

    #[test]
    fn a_digest_does_not_depend_on_how_the_bytes_were_cut(bytes: Vec<u8>, at: usize) {
        let at = at % (bytes.len() + 1);
        let (mut whole, mut cut) = (Hasher::new(Algorithm::ALL), Hasher::new(Algorithm::ALL));
        whole.update(&bytes);
        cut.update(&bytes[..at]);
        cut.update(&bytes[at..]);
        prop_assert_eq!(whole.finish(), cut.finish());
    }
}
