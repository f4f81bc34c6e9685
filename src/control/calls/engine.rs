//! What is asked of the engine as a whole.

use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::{
    AtRoot, DiscardResumeData, EngineDocument, GetConditions, GetEngine, Problem, SetConditions,
    SetEngineRateLimit, Shutdown,
};

use crate::control::dispatch::Answered;
use crate::control::{Control, problems};
use crate::options;

impl Answered for GetEngine {
    async fn answer(self, control: Control, AtRoot: AtRoot) -> Result<EngineDocument, Problem> {
        Ok(control.inner.engine_document())
    }
}

impl Answered for Shutdown {
    async fn answer(self, control: Control, AtRoot: AtRoot) -> Result<(), Problem> {
        control.inner.engine.shutdown().await;
        Ok(())
    }
}

impl Answered for GetConditions {
    async fn answer(self, control: Control, AtRoot: AtRoot) -> Result<Conditions, Problem> {
        Ok(control.inner.engine.conditions())
    }
}

impl Answered for SetConditions {
    async fn answer(self, control: Control, AtRoot: AtRoot) -> Result<Conditions, Problem> {
        let engine = &control.inner.engine;
        engine.set_conditions(self.conditions);
        Ok(engine.conditions())
    }
}

impl Answered for SetEngineRateLimit {
    async fn answer(self, control: Control, AtRoot: AtRoot) -> Result<(), Problem> {
        let rate = options::rate(self.bytes_per_second).map_err(problems::of_document)?;
        control.inner.engine.set_rate_limit(rate);
        Ok(())
    }
}

impl Answered for DiscardResumeData {
    async fn answer(self, control: Control, AtRoot: AtRoot) -> Result<(), Problem> {
        let discarded = control.inner.engine.discard_resume_data(self.data).await;
        discarded.map_err(problems::of_call)?.map_err(Problem::from)
    }
}
