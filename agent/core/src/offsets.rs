//! How far a file has been delivered: an offset is committed only when all before it is.

use std::collections::VecDeque;

/// What was sent of one file and has not been acknowledged, in order.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    committed: u64,
    next: u64,
    waiting: VecDeque<Sent>,
}

#[derive(Clone, Debug)]
struct Sent {
    number: u64,
    end: u64,
    acknowledged: bool,
}

/// A batch that was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchNumber(u64);

impl Offsets {
    /// Starts with all before `committed` delivered.
    pub fn new(committed: u64) -> Self {
        Self {
            committed,
            ..Self::default()
        }
    }

    /// Notes a batch that ends at byte `end` of the file.
    pub fn sent(&mut self, end: u64) -> BatchNumber {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back(Sent {
            number,
            end,
            acknowledged: false,
        });
        BatchNumber(number)
    }

    /// Notes that a batch was acknowledged; acknowledging it again changes nothing.
    pub fn acknowledge(&mut self, batch: BatchNumber) {
        let sent = self.waiting.iter_mut().find(|sent| sent.number == batch.0);
        if let Some(sent) = sent {
            sent.acknowledged = true;
        }
        while self.waiting.front().is_some_and(|sent| sent.acknowledged) {
            if let Some(sent) = self.waiting.pop_front() {
                self.committed = self.committed.max(sent.end);
            }
        }
    }

    /// Bytes of the file that are delivered without a gap.
    pub const fn committed(&self) -> u64 {
        self.committed
    }

    /// Batches that wait for their acknowledgement.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_committed_when_all_before_it_is() {
        let mut offsets = Offsets::new(100);
        let [first, second, third] = [200, 300, 400].map(|end| offsets.sent(end));
        offsets.acknowledge(second);
        assert_eq!((offsets.committed(), offsets.waiting()), (100, 3));
        offsets.acknowledge(first);
        assert_eq!((offsets.committed(), offsets.waiting()), (300, 1));
        offsets.acknowledge(first);
        offsets.acknowledge(third);
        assert_eq!((offsets.committed(), offsets.waiting()), (400, 0));
    }
}
