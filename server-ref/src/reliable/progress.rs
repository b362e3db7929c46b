//! What whoever sent a message waits for.

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::delivery::pending::{Outcome, RecipientId};

/// The outcomes of one message, in the order of its recipients.
pub(crate) type Outcomes = Vec<(String, Outcome)>;

/// One message on its way to several recipients.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    places: Vec<Place>,
    /// How many are not accepted, and how many have not ended.
    unaccepted: usize,
    open: usize,
    refused: Option<String>,
    accepted: Option<oneshot::Sender<Result<(), String>>>,
    ended: Option<oneshot::Sender<Outcomes>>,
}

#[derive(Debug)]
struct Place {
    recipient: RecipientId,
    accepted: bool,
    outcome: Option<Outcome>,
}

/// Tells when all are accepted, or why none is; and all outcomes.
pub(super) type Receivers = (oneshot::Receiver<Result<(), String>>, oneshot::Receiver<Outcomes>);

impl Progress {
    pub(super) fn new(recipients: &[RecipientId]) -> (Self, Receivers) {
        let (accepted, all_accepted) = oneshot::channel();
        let (ended, all_ended) = oneshot::channel();
        let places = recipients.iter().cloned();
        let state = State {
            places: places.map(|recipient| Place { recipient, accepted: false, outcome: None }).collect(),
            unaccepted: recipients.len(),
            open: recipients.len(),
            refused: None,
            accepted: Some(accepted),
            ended: Some(ended),
        };
        (Self(Mutex::new(state)), (all_accepted, all_ended))
    }

    pub(super) fn accepted(&self, index: usize) {
        self.0.lock().accept(index);
    }

    pub(super) fn ended(&self, index: usize, outcome: Outcome) {
        let mut state = self.0.lock();
        if let Outcome::Refused(text) = &outcome {
            state.refused.get_or_insert_with(|| text.clone());
        }
        let Some(place) = state.places.get_mut(index) else { return };
        if place.outcome.replace(outcome).is_some() {
            return;
        }
        state.open -= 1;
        state.accept(index);
        if state.open == 0 {
            let places = std::mem::take(&mut state.places);
            let outcomes = places.into_iter().filter_map(|place| {
                let label = place.recipient.label().to_owned();
                place.outcome.map(|outcome| (label, outcome))
            });
            if let Some(ended) = state.ended.take() {
                // Whoever sent it need not wait.
                let _ = ended.send(outcomes.collect());
            }
        }
    }
}

impl State {
    /// Accepted, or refused at once.
    fn accept(&mut self, index: usize) {
        let Some(place) = self.places.get_mut(index) else { return };
        if std::mem::replace(&mut place.accepted, true) {
            return;
        }
        self.unaccepted -= 1;
        if self.unaccepted > 0 {
            return;
        }
        let is_refused = |place: &Place| matches!(place.outcome, Some(Outcome::Refused(_)));
        let result = match self.refused.take() {
            Some(text) if self.places.iter().all(is_refused) => Err(text),
            _ => Ok(()),
        };
        if let Some(accepted) = self.accepted.take() {
            let _ = accepted.send(result);
        }
    }
}
