//! A stream of server-sent events, read as far as somebody asks for the next one.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use awc::error::PayloadError;
use futures_util::stream::Stream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use longhaul_engine::control::{EVENT_BYTES_MAX, KEEP_ALIVE_INTERVAL};
use longhaul_engine::http::sse::SseParser;
use serde::de::DeserializeOwned;

/// Silence after which a stream is given up: the daemon says something three times in it.
const SILENCE_MAX: Duration = Duration::from_secs(KEEP_ALIVE_INTERVAL.as_secs() * 3);

/// The body of an answer, as it comes.
pub(super) type Pieces<B> = Pin<Box<dyn Stream<Item = Result<B, PayloadError>>>>;

/// One stream. Dropping it closes its connection.
pub(super) struct Reader {
    pieces: Pieces<Vec<u8>>,
    parser: SseParser,
    /// Events of the last piece.
    ready: VecDeque<String>,
}

impl Reader {
    pub(super) fn new<B: AsRef<[u8]> + 'static>(
        pieces: impl Stream<Item = Result<B, PayloadError>> + 'static,
    ) -> Self {
        Self {
            pieces: Box::pin(pieces.map_ok(|piece| piece.as_ref().to_vec())),
            parser: SseParser::new(EVENT_BYTES_MAX),
            ready: VecDeque::new(),
        }
    }

    /// The next document that can be read; `None` when the stream has ended, well or not. What this
    /// version does not know is passed over: more may be told later than is known now.
    ///
    /// # Errors
    /// Why nothing more comes, for the log.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        loop {
            while let Some(data) = self.ready.pop_front() {
                match serde_json::from_str(&data) {
                    Ok(document) => return Ok(Some(document)),
                    Err(error) => {
                        tracing::warn!(%error, "an event of the daemon is not understood")
                    }
                }
            }
            let Some(piece) = self.piece().await? else {
                return Ok(None);
            };
            let mut events = Vec::new();
            let pushed = self.parser.push(&piece, &mut events);
            pushed.map_err(|error| error.to_string())?;
            self.ready
                .extend(events.into_iter().map(|event| event.data));
        }
    }

    async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        match tokio::time::timeout(SILENCE_MAX, self.pieces.next()).await {
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(error.to_string()),
            Ok(None) => Ok(None),
            Err(_) => Err(format!("nothing was heard for {} s", SILENCE_MAX.as_secs())),
        }
    }
}
