//! The file as the body of a request.

use std::os::fd::BorrowedFd;

use longhaul_engine::failure::Failure;
use longhaul_engine::upload::RequestBody;

use super::super::disk::{is_slow, quick, timed};
use super::not_open;
use super::sent::SentBytes;
use crate::blocks::{Block, Blocks};
use crate::fault;
use crate::file::source::SourceFile;
use crate::limiter::{LIMITED_READ_BYTES, Limits};
use crate::net::{Content, Passed};

/// Bytes of the file that are read at once: enough that reading costs little beside sending, few
/// enough that the first byte is soon on its way.
const BLOCK_BYTES: usize = 256 * 1024;

/// Bytes that the kernel is told to send at once: few enough that a cold disk holds up the other
/// streams of the arbiter no longer than a block does.
const PIECE_BYTES: usize = 1024 * 1024;

/// A part of the file as the body of a request.
pub(super) struct FileContent {
    file: Option<SourceFile>,
    body: RequestBody,
    blocks: Blocks,
    limits: Limits,
    sent: SentBytes,
    /// The kernel sends bytes of this file on its own, as far as is known.
    can_pass: bool,
}

impl FileContent {
    pub(super) fn new(
        file: Option<SourceFile>,
        body: RequestBody,
        (blocks, limits): (Blocks, Limits),
        sent: SentBytes,
    ) -> Self {
        Self {
            file,
            body,
            blocks,
            limits,
            sent,
            can_pass: true,
        }
    }

    fn file(&self) -> Result<SourceFile, Failure> {
        self.file.clone().ok_or_else(not_open)
    }

    /// Bytes from `offset` to the end of the body.
    fn rest(&self, offset: u64) -> usize {
        usize::try_from(self.body.length - offset).unwrap_or(usize::MAX)
    }
}

/// Some bytes of the file.
pub(super) struct FileBlock {
    block: Block,
    length: usize,
}

impl AsRef<[u8]> for FileBlock {
    fn as_ref(&self) -> &[u8] {
        &self.block[..self.length]
    }
}

impl Content for FileContent {
    type Block = FileBlock;
    type Error = Failure;

    fn length(&self) -> u64 {
        self.body.length
    }

    async fn block(&mut self, offset: u64) -> Result<FileBlock, Failure> {
        fault::point("upload.block");
        let most = match self.limits.is_limited() {
            true => LIMITED_READ_BYTES,
            false => BLOCK_BYTES,
        };
        let length = most.min(self.rest(offset));
        let (file, from) = (self.file()?, self.body.offset + offset);
        let mut block = self.blocks.take(length).await;
        let block = quick(move || file.read_at(&mut block[..length], from).map(|()| block)).await?;
        self.limits.pay(length).await;
        Ok(FileBlock { block, length })
    }

    /// All but the last block goes this way, while nothing limits the rate and the disk is quick. The
    /// last block is read and proven before it goes: a request with bytes of another file never ends.
    fn pass(&mut self, offset: u64, socket: BorrowedFd<'_>) -> Result<Passed, Failure> {
        let most = self
            .rest(offset)
            .saturating_sub(BLOCK_BYTES)
            .min(PIECE_BYTES);
        if most == 0 || !self.can_pass || self.limits.is_limited() || is_slow() {
            return Ok(Passed::Unable);
        }
        fault::point("upload.pass");
        let (file, from) = (self.file()?, self.body.offset + offset);
        let passed = timed(|| file.send_at(socket, from, most))?;
        self.can_pass = passed != Passed::Unable;
        Ok(passed)
    }

    fn sent(&mut self, bytes: u64) {
        self.sent.tell(bytes);
    }
}
