//! What every worker takes upon itself right before its program begins: rules of Landlock and filters of system calls. The
//! first process of the instance makes them once.

use landlock::RulesetCreated;

use super::calls::Filters;
use super::orders::Plan;
use super::reach;

/// The rules and filters of an instance.
pub(super) struct Confinement {
    rules: Option<RulesetCreated>,
    filters: Option<Filters>,
}

impl Confinement {
    /// Those a plan asks for; a failure when the host does not have them after all.
    pub(super) fn of(plan: &Plan) -> Result<Self, String> {
        Ok(Self {
            rules: plan.reach.as_ref().map(reach::rules).transpose()?,
            filters: plan.seccomp.then(Filters::build).transpose()?,
        })
    }

    /// Takes the rules, for good. To be done first: their descriptor may lie where one of the worker's belongs.
    pub(super) fn take_rules(&self) -> Result<(), String> {
        self.rules.as_ref().map_or(Ok(()), reach::take)
    }

    /// Takes the filters, for good.
    pub(super) fn take_filters(&self) -> Result<(), String> {
        let taken = self.filters.as_ref().map_or(Ok(()), Filters::take);
        taken.map_err(|e| format!("system calls cannot be filtered: {e}"))
    }
}
