//! The file as the body of a request.

use actix::{Addr, Handler, Message};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::upload::{Input, RequestId};

use super::super::TransferActor;
use super::super::disk::quick;
use crate::blocks::{Block, Blocks};
use crate::fault;
use crate::file::source::SourceFile;
use crate::limiter::{LIMITED_READ_BYTES, Limits};
use crate::net::Content;

/// Bytes of the file that are read at once: enough that reading costs little beside sending, few
/// enough that the first byte is soon on its way.
const BLOCK_BYTES: usize = 256 * 1024;

/// Bytes of the file were given to the network.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::transfer) struct BytesSent {
    request: RequestId,
    bytes: u64,
}

impl Handler<BytesSent> for TransferActor {
    type Result = ();

    fn handle(&mut self, message: BytesSent, context: &mut Self::Context) {
        fault::point("upload.sent");
        let BytesSent { request, bytes } = message;
        self.feed_upload(Input::Sent { request, bytes }, context);
    }
}

/// The file as the body of a request.
pub(super) struct FileContent {
    pub(super) request: RequestId,
    pub(super) file: Option<SourceFile>,
    pub(super) length: u64,
    pub(super) blocks: Blocks,
    pub(super) limits: Limits,
    pub(super) report: Addr<TransferActor>,
    /// Bytes that were given to the network.
    pub(super) sent: u64,
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
        self.length
    }

    async fn block(&mut self, offset: u64) -> Result<FileBlock, Failure> {
        fault::point("upload.block");
        let most = match self.limits.is_limited() {
            true => LIMITED_READ_BYTES,
            false => BLOCK_BYTES,
        };
        let rest = usize::try_from(self.length - offset).unwrap_or(usize::MAX);
        let length = most.min(rest);
        let file = self.file.clone().ok_or_else(|| {
            let message = "the file is not open any more; start the upload again";
            Failure::new(FailureKind::File, message)
        })?;
        let mut block = self.blocks.take(length).await;
        let block =
            quick(move || file.read_at(&mut block[..length], offset).map(|()| block)).await?;
        self.limits.pay(length).await;
        Ok(FileBlock { block, length })
    }

    fn sent(&mut self, bytes: u64) {
        let request = self.request;
        self.sent = bytes;
        self.report.do_send(BytesSent { request, bytes });
    }
}
