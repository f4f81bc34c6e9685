//! Talks HTTP to a process of this machine, over its Unix socket.

use std::{io, path::Path, rc::Rc, time::Duration};

use actix_rt::net::UnixStream;
use actix_service::fn_service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::{Client, Connector, http::Uri};

/// How long the kernel may take to hand over a connection: it does so at once, unless the other side
/// has stopped taking them and its queue is full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection waits for the next call. It is shorter than what a server of ours waits, so
/// that hardly any call meets a connection that was just closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// The user whose processes may do anything anyway.
const ROOT: u32 = 0;

/// A client all of whose connections go to `socket`, whatever host a request names. It has no time
/// limits but that for connecting, follows no redirects, and belongs to the thread that made it.
///
/// What is said on such a connection may hold secrets, so the process at the other end has to be of
/// this user, or of root: another one that has put its own socket at a known place is not spoken to.
pub(crate) fn client(socket: &Path) -> Client {
    let socket: Rc<Path> = Rc::from(socket);
    let service = fn_service(move |info: ConnectInfo<Uri>| {
        let socket = Rc::clone(&socket);
        async move {
            let stream = connect(&socket).await.map_err(ConnectError::Io)?;
            Ok::<_, ConnectError>(Connection::new(info.request().clone(), stream))
        }
    });
    let connector = Connector::new()
        .connector(service)
        .timeout(CONNECT_TIMEOUT)
        .conn_keep_alive(IDLE_TIMEOUT)
        // Whoever sends requests limits how many there are at once.
        .limit(0);
    Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .finish()
}

async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket).await?;
    let owner = stream.peer_cred()?.uid();
    if owner != rustix::process::geteuid().as_raw() && owner != ROOT {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the process at this socket belongs to user {owner}"),
        ));
    }
    Ok(stream)
}
