//! For how long written bytes may be believed: the token of one boot and one mount.

use std::fs::{self, File};
use std::path::Path;
use std::sync::OnceLock;

use longhaul_engine::checkpoint::{FileIdentity, ValidityToken};
use longhaul_engine::failure::Failure;
use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;

use super::error::{failure, refused};

/// Where the kernel names its boot (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// `STATX_MNT_ID_UNIQUE` (Linux 6.8): a number that no other mount of this boot ever gets.
const MOUNT_ID_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// The token of `file`, which lies at `path`. While it is the same, what was written to the file is
/// there to be read, synced or not (design 5.1).
///
/// # Errors
/// When the file can not be looked at, or the boot id can not be read.
pub fn validity_token(file: &File, path: &Path) -> Result<ValidityToken, Failure> {
    let (_, mount) = look_at(file, path)?;
    token(mount)
}

/// The token of this boot and a mount.
///
/// # Errors
/// When `/proc` is missing, so that boots cannot be told apart.
pub(super) fn token(mount: u64) -> Result<ValidityToken, Failure> {
    let boot = boot()?;
    Ok(ValidityToken { boot, mount })
}

/// The id of this boot, which can not change while this process lives.
fn boot() -> Result<[u8; 16], Failure> {
    static BOOT: OnceLock<[u8; 16]> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(*boot);
    }
    let path = Path::new(BOOT_ID);
    let text = fs::read_to_string(path).map_err(|error| failure("read", path, &error))?;
    let boot = parse_boot(&text).ok_or_else(|| {
        refused(
            path,
            "does not hold the id of this boot; mount the /proc of the running kernel",
        )
    })?;
    Ok(*BOOT.get_or_init(|| boot))
}

/// A UUID in its usual form, as 16 bytes.
fn parse_boot(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.trim().bytes().filter(|byte| *byte != b'-').collect();
    if digits.len() != 32 {
        return None;
    }
    let mut boot = [0; 16];
    for (byte, pair) in boot.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(boot)
}

/// Which file it is, and the mount that it was opened through: its unique number where the kernel
/// has one, else its number, which a later mount may get again, else the number of the device.
///
/// # Errors
/// When the file does not answer.
pub(super) fn look_at(file: &File, path: &Path) -> Result<(FileIdentity, u64), Failure> {
    // One call for everything: a kernel that knows the unique number prefers it, another one ignores
    // it.
    let mount = MOUNT_ID_UNIQUE | StatxFlags::MNT_ID;
    let wanted = mount | StatxFlags::INO;
    match rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, wanted) {
        Ok(found) if StatxFlags::from_bits_retain(found.stx_mask).intersects(mount) => {
            let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
            let inode = found.stx_ino;
            return Ok((FileIdentity { device, inode }, found.stx_mnt_id));
        }
        // Before Linux 5.8 `statx` does not know mounts; before 4.11 or under old sandboxes there is
        // no `statx`.
        Ok(_) | Err(Errno::NOSYS | Errno::PERM) => {}
        Err(error) => return Err(failure("look at", path, &error.into())),
    }
    let found = rustix::fs::fstat(file).map_err(|error| failure("look at", path, &error.into()))?;
    let identity = FileIdentity {
        device: found.st_dev,
        inode: found.st_ino,
    };
    Ok((identity, found.st_dev))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_is_sixteen_bytes_of_hexadecimal_text() {
        let parsed = parse_boot("00112233-4455-6677-8899-aabbccddeeff\n");
        let expected = [
            0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ];
        assert_eq!(parsed, Some(expected));
        for text in [
            "",
            "00112233",
            "0011223344556677889900112233445g",
            "é".repeat(16).as_str(),
        ] {
            assert_eq!(parse_boot(text), None, "{text:?}");
        }
    }

    #[test]
    fn two_files_of_one_mount_have_one_token_and_it_does_not_change() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| {
            let path = directory.path().join(name);
            validity_token(&File::create(&path).unwrap(), &path).unwrap()
        });
        assert_eq!(a, b);
        assert_ne!(a.boot, [0; 16]);
    }

    #[test]
    fn another_mount_has_another_token() {
        let directory = tempfile::tempdir().unwrap();
        let here = validity_token(&File::open(directory.path()).unwrap(), directory.path());
        let proc = validity_token(&File::open("/proc").unwrap(), Path::new("/proc"));
        assert_ne!(here.unwrap().mount, proc.unwrap().mount);
    }
}
