//! What comes from another process, asked for anew as the builders of the library have it: each rule
//! stands there once.

use std::path::{Path, PathBuf};

use longhaul_actors::local::StartRequest;
use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::control::RequestDocument;
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::SessionId;
use longhaul_engine::session::{OriginCredentials, ProxyKind, ProxyUrl, SessionRules};
use longhaul_engine::task::{
    Adjustment, Desired, Destination, DownloadSpec, NotificationTitles, Spec, TaskOptions,
    UploadSpec,
};

use crate::request::file_destination;
use crate::{
    DownloadRequest, Error, SessionConfiguration, UploadRequest, challenge, header, options, proxy,
    task,
};

/// A request, as its builder would have made it.
pub(super) fn request(document: RequestDocument) -> Result<StartRequest, Error> {
    let RequestDocument {
        request,
        adopts,
        desired,
    } = document;
    match desired {
        Desired::Running | Desired::Suspended => {}
        Desired::Cancelled | Desired::CancelledResumable => {
            return Err(Error::Invalid(
                "a task can not be made to be cancelled; let it be \"running\" or \"suspended\""
                    .to_owned(),
            ));
        }
    }
    let made = match request {
        Spec::Download(spec) => StartRequest::from(download(spec)?),
        Spec::Upload(spec) => StartRequest::from(upload(spec)?),
    };
    Ok(StartRequest {
        adopts,
        desired,
        ..made
    })
}

/// A session's configuration, as its builder would have made it.
pub(super) fn rules(id: SessionId, rules: SessionRules) -> Result<SessionConfiguration, Error> {
    // Taken apart in full: a new field must be looked at here.
    let SessionRules {
        headers,
        user_agent,
        timeout_for_request,
        timeout_for_resource,
        timeout_for_connect,
        retries_max,
        retry_base,
        retry_cap,
        redirects_max,
        tasks_max,
        tasks_per_host_max,
        durability,
        credentials,
        ca_certificates_pem,
        proxy,
        rate_limit_bytes,
        is_discretionary,
        allows_expensive_network_access,
        allows_constrained_network_access,
        session_sends_launch_events,
        launch_command,
        resume_data_on_failure,
    } = rules;
    let mut made = SessionConfiguration::new(id.as_str())?
        .timeout_for_request(timeout_for_request)?
        .timeout_for_resource(timeout_for_resource)?
        .timeout_for_connect(timeout_for_connect)?
        .retry_delay(retry_base, retry_cap)?
        .redirects_max(redirects_max)?
        .tasks_max(tasks_max)?
        .tasks_per_host_max(tasks_per_host_max)?
        .durability(durability)
        .is_discretionary(is_discretionary)
        .allows_expensive_network_access(allows_expensive_network_access)
        .allows_constrained_network_access(allows_constrained_network_access)
        .session_sends_launch_events(session_sends_launch_events)
        .resume_data_on_failure(resume_data_on_failure);
    for (name, value) in &headers {
        made = made.header(name, value)?;
    }
    for OriginCredentials {
        origin,
        credentials,
    } in credentials
    {
        made = made.credentials(&origin, credentials)?;
    }
    if let Some(agent) = user_agent {
        made = made.user_agent(&agent)?;
    }
    if let Some(pem) = ca_certificates_pem {
        made = made.ca_certificates_pem(pem)?;
    }
    if let Some(rate) = rate_limit_bytes {
        made = made.rate_limit_bytes(rate)?;
    }
    if let Some(retries) = retries_max {
        made = made.retries_max(retries);
    }
    if let Some(command) = launch_command {
        made = made.launch_command(command);
    }
    made.rules.proxy = proxy.map(checked_proxy).transpose()?;
    Ok(made)
}

/// An answer to a challenge.
pub(super) fn disposition(disposition: Disposition) -> Result<Disposition, Error> {
    challenge::check(&disposition)?;
    Ok(disposition)
}

/// What becomes of a delayed task.
pub(super) fn decision(decision: DelayedRequest) -> Result<DelayedRequest, Error> {
    task::checked(decision)
}

/// A change of a task's options.
pub(super) fn adjustment(adjustment: Adjustment) -> Result<Adjustment, Error> {
    Ok(match adjustment {
        Adjustment::Priority(priority) => Adjustment::Priority(priority),
        Adjustment::RateLimit(rate) => Adjustment::RateLimit(options::rate(rate)?),
    })
}

/// Titles of a notification.
pub(super) fn titles(
    titles: Option<NotificationTitles>,
) -> Result<Option<NotificationTitles>, Error> {
    titles
        .map(|NotificationTitles { success, failure }| options::titles(success, failure))
        .transpose()
}

/// The path of a file, which another process must name in full: it has another current directory.
pub(super) fn file(path: &Path) -> Result<PathBuf, Error> {
    file_destination(whole(path)?)
}

fn download(spec: DownloadSpec) -> Result<DownloadRequest, Error> {
    let DownloadSpec {
        url,
        destination,
        collision,
        headers,
        credentials,
        digests,
        length,
        connections,
        allow_unvalidated_resume,
        allow_encoded,
        allow_downgrade,
        accept_error_status,
        options,
    } = spec;
    let made = match destination {
        Destination::File(path) => DownloadRequest::new(url.as_str(), whole(&path)?),
        Destination::Directory(path) => {
            DownloadRequest::into_directory(url.as_str(), whole(&path)?)
        }
    };
    let mut made = made?
        .collision(collision)
        .connections(connections)?
        .deliver_error_body(accept_error_status);
    for digest in digests {
        made = made.digest(digest)?;
    }
    made.spec = DownloadSpec {
        headers: header::checked(&headers)?,
        credentials,
        length,
        allow_unvalidated_resume,
        allow_encoded,
        allow_downgrade,
        options: task_options(options)?,
        ..made.spec
    };
    Ok(made)
}

fn upload(spec: UploadSpec) -> Result<UploadRequest, Error> {
    let UploadSpec {
        url,
        source,
        method,
        protocol,
        place,
        is_repeatable,
        metadata,
        checksum,
        headers,
        credentials,
        allow_downgrade,
        request_id,
        is_adoptable,
        options,
    } = spec;
    let mut made = UploadRequest::new(url.as_str(), whole(&source)?)?.method(&method)?;
    made = match place {
        Some(place) => made.upload_url(place.as_str(), protocol)?,
        None => made.protocol(protocol)?,
    };
    for (key, value) in &metadata {
        made = made.metadata(key, value)?;
    }
    made.spec = UploadSpec {
        is_repeatable,
        checksum,
        headers: header::checked(&headers)?,
        credentials,
        allow_downgrade,
        request_id,
        is_adoptable,
        options: task_options(options)?,
        ..made.spec
    };
    Ok(made)
}

fn task_options(given: TaskOptions) -> Result<TaskOptions, Error> {
    let TaskOptions {
        priority,
        earliest_begin,
        is_discretionary,
        allows_expensive_network_access,
        allows_constrained_network_access,
        rate_limit_bytes,
        notify_on_finished,
        challenge_statuses,
        description,
    } = given;
    Ok(TaskOptions {
        priority,
        earliest_begin,
        is_discretionary,
        allows_expensive_network_access,
        allows_constrained_network_access,
        rate_limit_bytes: options::rate(rate_limit_bytes)?,
        notify_on_finished: titles(notify_on_finished)?,
        challenge_statuses: challenge::statuses(&challenge_statuses)?,
        description: description.map(options::description).transpose()?,
    })
}

/// A proxy that its address would have named.
fn checked_proxy(given: ProxyUrl) -> Result<ProxyUrl, Error> {
    let scheme = match given.kind {
        ProxyKind::Http => "http",
        ProxyKind::Socks5 => "socks5",
    };
    let (open, close) = if given.host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    };
    let text = format!("{scheme}://{open}{}{close}:{}", given.host, given.port);
    let configuration = SessionConfiguration::new("proxy")?.proxy(&text)?;
    let known = configuration.rules.proxy.filter(|known| {
        (known.kind, known.port) == (given.kind, given.port) && known.login.is_none()
    });
    let known = known.ok_or_else(proxy::not_understood)?;
    Ok(ProxyUrl {
        login: given.login,
        ..known
    })
}

fn whole(path: &Path) -> Result<&Path, Error> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::Invalid(format!(
        "the path {path:?} is relative, and the engine has a current directory of its own; give an \
         absolute path"
    )))
}
