//! What the handles of all kinds of tasks have in common, written once.

/// Gives the handle of a task, whose `inner` has `session`, `id` and `url`, what every handle has,
/// and makes its snapshots.
macro_rules! task_handle {
    ($task:ident, $snapshot:ident) => {
        impl $task {
            pub(crate) fn session(&self) -> &crate::link::SessionLink {
                &self.inner.session
            }

            /// Its number: stable for its life, and never used twice in one state directory.
            #[must_use]
            pub fn id(&self) -> crate::TaskId {
                self.inner.id
            }

            /// What it fetches, or where it is sent. Its `Display` shows no secret,
            /// [`HttpUrl::as_str`](crate::HttpUrl::as_str) does.
            #[must_use]
            pub fn url(&self) -> &crate::HttpUrl {
                &self.inner.url
            }

            /// The task as it is now.
            ///
            /// # Errors
            /// [`Error::NoSuchTask`](crate::Error::NoSuchTask) once its end was acknowledged,
            /// [`Error::Stopped`](crate::Error::Stopped) or [`Error::Store`](crate::Error::Store).
            pub async fn snapshot(&self) -> Result<$snapshot, crate::Error> {
                let view = self.inner.session.view(self.inner.id).await?;
                Ok($snapshot::of(self.clone(), view))
            }

            /// Its state in Foundation's words.
            ///
            /// # Errors
            /// As [`Self::snapshot`].
            pub async fn state(&self) -> Result<crate::TaskState, crate::Error> {
                Ok(self.snapshot().await?.state)
            }

            /// What it does or waits for, beneath its state.
            ///
            /// # Errors
            /// As [`Self::snapshot`].
            pub async fn phase(&self) -> Result<crate::Phase, crate::Error> {
                Ok(self.snapshot().await?.phase)
            }

            /// Lets it go on, as soon as there is a place for it. Recorded and repeatable as
            /// [`Self::suspend`].
            ///
            /// # Errors
            /// As [`Self::snapshot`].
            pub async fn resume(&self) -> Result<(), crate::Error> {
                self.want(longhaul_engine::task::Desired::Running).await
            }

            async fn want(
                &self,
                desired: longhaul_engine::task::Desired,
            ) -> Result<(), crate::Error> {
                Ok(self.inner.session.want(self.inner.id, desired).await?)
            }

            /// The events of this task; the stream ends after its terminal fact.
            ///
            /// # Errors
            /// As [`Self::snapshot`].
            pub async fn events(&self) -> Result<crate::Events, crate::Error> {
                let events = self.inner.session.subscribe(Some(self.inner.id)).await?;
                Ok(crate::Events::new(events))
            }

            /// Waits until it has ended, and says how; at once when it has. A transfer that failed is
            /// [`Outcome::Failed`](crate::Outcome::Failed), not an error of this call.
            ///
            /// # Errors
            /// As [`Self::snapshot`].
            pub async fn finished(&self) -> Result<crate::Outcome, crate::Error> {
                Ok(self.inner.session.outcome(self.inner.id).await?)
            }
        }

        impl std::future::IntoFuture for $task {
            type Output = Result<crate::Outcome, crate::Error>;
            type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(async move { self.finished().await })
            }
        }

        impl $snapshot {
            fn of(task: $task, view: longhaul_actors::handle::TaskView) -> Self {
                Self {
                    task,
                    state: view.state,
                    phase: view.phase,
                    progress: view.progress,
                    outcome: view.outcome,
                }
            }
        }
    };
}

pub(crate) use task_handle;
