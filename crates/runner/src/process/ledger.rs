//! The calls a process has in flight, and what it may say about them.
//!
//! Calls run one after another in the order they were handed over, so `started`, `result` and `error` are believed for the
//! oldest only. The one exception: a call that was cancelled or recalled may be given back out of turn, with an error of that
//! kind.

use std::collections::VecDeque;

use crate::protocol::{Broken, ErrorKind, FIRST_CREDIT};

#[derive(Debug)]
struct InFlight {
    call: u64,
    started: bool,
    cancelled: bool,
    recalled: bool,
    credit: u32,
}

/// The calls in flight of one process.
#[derive(Debug, Default)]
pub struct Ledger {
    calls: VecDeque<InFlight>,
}

impl Ledger {
    /// A call is on its way to the process.
    pub fn hand_over(&mut self, call: u64) {
        self.calls.push_back(InFlight {
            call,
            started: false,
            cancelled: false,
            recalled: false,
            credit: FIRST_CREDIT,
        });
    }

    /// The process is asked to give a call up. False when it has no such call.
    pub fn cancel(&mut self, call: u64) -> bool {
        self.find(call).map(|found| found.cancelled = true).is_some()
    }

    /// The process is asked for a call back. False when it has no such call, or began with it.
    pub fn recall(&mut self, call: u64) -> bool {
        self.find(call).filter(|found| !found.started).map(|found| found.recalled = true).is_some()
    }

    /// Whether a call is to be given back that has not started.
    pub fn recalling(&self) -> bool {
        self.calls.iter().any(|call| (call.recalled || call.cancelled) && !call.started)
    }

    /// Whether any call in flight was cancelled, and whether the call in work was.
    pub fn cancelling(&self) -> (bool, bool) {
        let in_work = self.calls.front().is_some_and(|head| head.started && head.cancelled);
        (self.calls.iter().any(|call| call.cancelled), in_work)
    }

    /// The process may send more updates. False when it has no such call.
    pub fn credit(&mut self, call: u64, updates: u32) -> bool {
        self.find(call).map(|found| found.credit = found.credit.saturating_add(updates)).is_some()
    }

    /// True when nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The call in work.
    pub fn in_work(&self) -> Option<u64> {
        self.calls.front().filter(|head| head.started).map(|head| head.call)
    }

    /// The process says it began.
    pub fn started(&mut self, call: u64) -> Result<(), Broken> {
        match self.calls.front_mut() {
            Some(head) if head.call == call && !head.started => {
                head.started = true;
                Ok(())
            }
            _ => Err(Broken::new(format!("`started` of call {call}, which is not next"))),
        }
    }

    /// The process sends an update, which costs a credit.
    pub fn update(&mut self, call: u64) -> Result<(), Broken> {
        match self.calls.front_mut() {
            Some(head) if head.call == call && head.started && head.credit > 0 => {
                head.credit -= 1;
                Ok(())
            }
            _ => Err(Broken::new(format!("an update of call {call}, which is not in work or has no credit"))),
        }
    }

    /// The process sends a log line of a call.
    pub fn log(&mut self, call: u64) -> Result<(), Broken> {
        match self.find(call) {
            Some(_) => Ok(()),
            None => Err(Broken::new(format!("a log line of call {call}, which is not in flight"))),
        }
    }

    /// The process sends a file of its answer.
    pub fn file(&self, call: u64) -> Result<(), Broken> {
        if self.in_work() != Some(call) {
            return Err(Broken::new(format!("a file of call {call}, which is not in work")));
        }
        Ok(())
    }

    /// The process answers.
    pub fn result(&mut self, call: u64) -> Result<(), Broken> {
        if self.in_work() != Some(call) {
            return Err(Broken::new(format!("a result of call {call}, which is not in work")));
        }
        self.calls.pop_front();
        Ok(())
    }

    /// The process says that a call failed.
    pub fn error(&mut self, call: u64, kind: ErrorKind) -> Result<(), Broken> {
        let given_back = |found: &InFlight| kind == ErrorKind::Cancelled && (found.cancelled || found.recalled);
        match self.calls.iter().position(|found| found.call == call) {
            Some(0) if self.calls[0].started || given_back(&self.calls[0]) => {}
            Some(at) if given_back(&self.calls[at]) => {
                self.calls.remove(at);
                return Ok(());
            }
            _ => return Err(Broken::new(format!("an error of call {call}, which is not in work"))),
        }
        self.calls.pop_front();
        Ok(())
    }

    fn find(&mut self, call: u64) -> Option<&mut InFlight> {
        self.calls.iter_mut().find(|found| found.call == call)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the server does, and what a worker may say, of calls 0 to 5.
    #[derive(Debug, Clone)]
    enum Step {
        HandOver,
        Cancel(u64),
        Recall(u64),
        Started(u64),
        Result(u64),
        Error(u64, bool),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let call = 0u64..6;
        prop_oneof![
            3 => Just(Step::HandOver),
            1 => call.clone().prop_map(Step::Cancel),
            1 => call.clone().prop_map(Step::Recall),
            3 => call.clone().prop_map(Step::Started),
            3 => call.clone().prop_map(Step::Result),
            2 => (call, any::<bool>()).prop_map(|(call, cancelled)| Step::Error(call, cancelled)),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_said_a_call_ends_once_and_answers_keep_their_order(steps in prop::collection::vec(any_step(), 0..60)) {
            let mut ledger = Ledger::default();
            let (mut handed, mut cancelled, mut started, mut ended) = (0, vec![], vec![], vec![]);
            for step in steps {
                match step {
                    Step::HandOver => {
                        ledger.hand_over(handed);
                        handed += 1;
                    }
                    Step::Cancel(call) if ledger.cancel(call) => cancelled.push(call),
                    Step::Recall(call) if ledger.recall(call) => cancelled.push(call),
                    Step::Started(call) if ledger.started(call).is_ok() => started.push(call),
                    Step::Result(call) if ledger.result(call).is_ok() => {
                        prop_assert_eq!(started.last(), Some(&call));
                        ended.push(call);
                    }
                    Step::Error(call, of_cancel) => {
                        let kind = if of_cancel { ErrorKind::Cancelled } else { ErrorKind::Exception };
                        if ledger.error(call, kind).is_ok() {
                            prop_assert!(started.last() == Some(&call) || of_cancel && cancelled.contains(&call));
                            ended.push(call);
                        }
                    }
                    _ => {}
                }
            }
            prop_assert!(started.is_sorted() && started.iter().all(|call| *call < handed));
            let once: std::collections::HashSet<_> = ended.iter().collect();
            prop_assert_eq!(once.len(), ended.len());
        }
    }

    fn with(calls: &[u64]) -> Ledger {
        let mut ledger = Ledger::default();
        for call in calls {
            ledger.hand_over(*call);
        }
        ledger
    }

    #[test]
    fn calls_start_and_end_in_their_order_only() {
        let mut ledger = with(&[1, 2]);
        assert!(ledger.started(2).is_err());
        assert!(ledger.result(1).is_err());
        ledger.started(1).unwrap();
        assert!(ledger.started(1).is_err());
        assert!(ledger.started(2).is_err());
        assert_eq!(ledger.in_work(), Some(1));
        ledger.result(1).unwrap();
        assert!(ledger.result(1).is_err());
        assert_eq!(ledger.in_work(), None);
        ledger.started(2).unwrap();
        ledger.error(2, ErrorKind::Exception).unwrap();
        assert!(ledger.log(2).is_err());
    }

    #[test]
    fn updates_end_with_the_credit() {
        let mut ledger = with(&[1]);
        assert!(ledger.update(1).is_err());
        ledger.started(1).unwrap();
        for _ in 0..FIRST_CREDIT {
            ledger.update(1).unwrap();
        }
        assert!(ledger.update(1).is_err());
        assert!(ledger.credit(1, 1));
        ledger.update(1).unwrap();
        assert!(!ledger.credit(7, 1));
    }

    #[test]
    fn a_recalled_call_comes_back_unless_it_has_started() {
        let mut ledger = with(&[1, 2, 3]);
        ledger.started(1).unwrap();
        assert!(!ledger.recall(1));
        assert!(ledger.recall(2) && ledger.recall(3) && !ledger.recall(4));
        assert!(ledger.error(2, ErrorKind::Exception).is_err());
        ledger.error(3, ErrorKind::Cancelled).unwrap();
        assert!(ledger.recalling());
        ledger.result(1).unwrap();
        ledger.started(2).unwrap();
        assert!(!ledger.recalling());
        ledger.result(2).unwrap();
    }

    #[test]
    fn only_a_cancelled_call_comes_back_out_of_turn() {
        let mut ledger = with(&[1, 2, 3]);
        ledger.started(1).unwrap();
        assert!(ledger.error(2, ErrorKind::Cancelled).is_err());
        assert!(ledger.cancel(2));
        assert!(ledger.error(2, ErrorKind::Exception).is_err());
        ledger.error(2, ErrorKind::Cancelled).unwrap();
        ledger.result(1).unwrap();
        ledger.started(3).unwrap();
    }
}
