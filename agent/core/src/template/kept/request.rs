//! Putting a request together from its blocks.

use bytes::Bytes;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::{Message, encoding};

use crate::exposition;
use crate::translate::{Identity, ScrapeStats, own_scope};

use super::super::block;
use super::super::build::{Built, Context};
use super::super::segment::Segment;
use super::super::wire::{self, FIRST, SECOND};
use super::Kept;
use super::plan::{Changed, Piece};

/// The scrape's own metrics: where their values stand.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) count: usize,
    /// Where times stand; a value follows each after a tag.
    pub(super) times: Vec<u32>,
    pub(super) duration: Option<u32>,
    pub(super) added: Option<u32>,
}

/// Where a block comes from.
enum Block {
    Old(std::ops::Range<usize>),
    Staged(std::ops::Range<usize>),
    Fresh(Vec<u8>),
}

impl Block {
    fn len(&self) -> usize {
        match self {
            Self::Old(range) | Self::Staged(range) => range.len(),
            Self::Fresh(block) => block.len(),
        }
    }
}

impl Kept {
    /// Puts a new request together, and keeps it.
    pub(super) fn assemble(
        &mut self,
        buffer: &[u8],
        context: &Context<'_>,
        stats: &ScrapeStats,
        Changed { plan, mut changes }: Changed,
        staged: &[u8],
    ) -> (Bytes, usize) {
        if self.ended {
            changes.markers.clear();
            changes.added = self.totals.points;
        }
        let own = stats.series(
            context.identity,
            context.at,
            exposition::Counts {
                scraped: self.totals.samples,
                kept: self.totals.samples,
            },
            changes.added,
        );
        let own = encoded(&own.metrics);
        let marked: usize = changes.markers.iter().map(|(_, _, count)| *count).sum();
        let markers: Vec<u8> = changes
            .markers
            .iter()
            .flat_map(|(_, m, _)| m)
            .copied()
            .collect();
        let mut old: Vec<Option<Segment>> = self.segments.drain(..).map(Some).collect();
        let mut fresh: Vec<Option<Built>> = changes.fresh.into_iter().map(Some).collect();
        let taken = plan.iter().filter_map(|piece| match *piece {
            Piece::Same(index) => {
                let segment = old.get_mut(index)?.take()?;
                let block = Block::Old(segment.block.clone());
                Some((segment, block))
            }
            Piece::Staged(index, from) => {
                let segment = old.get_mut(index)?.take()?;
                let block = Block::Staged(from..from + segment.block.len());
                Some((segment, block))
            }
            Piece::Fresh(index) => {
                let Built { segment, block, .. } = fresh.get_mut(index)?.take()?;
                Some((segment, Block::Fresh(block)))
            }
        });
        let taken: Vec<(Segment, Block)> = taken.collect();
        let blocks: usize = taken.iter().map(|(_, block)| block.len()).sum();
        let metrics = blocks + own.len() + markers.len();
        let mut out = header(self.resource.as_ref(), context.identity, metrics);
        let from = out.len();
        self.segments = Vec::with_capacity(taken.len());
        for (mut segment, block) in taken {
            let at = out.len();
            out.extend_from_slice(match &block {
                Block::Old(range) => buffer.get(range.clone()).unwrap_or_default(),
                Block::Staged(range) => staged.get(range.clone()).unwrap_or_default(),
                Block::Fresh(block) => block,
            });
            segment.block = at..out.len();
            self.segments.push(segment);
        }
        self.blocks = from..out.len();
        self.own = Own::of(&own, context.at, out.len());
        out.extend_from_slice(&own);
        out.extend_from_slice(&markers);
        self.marked = marked > 0;
        self.ended = false;
        let items = self.totals.points + self.own.count + marked;
        (Bytes::from(out), items)
    }
}

impl Own {
    pub(super) fn of(own: &[u8], at: u64, from: usize) -> Self {
        let from = from as u32;
        let times: Vec<u32> = block::times(own, at)
            .into_iter()
            .map(|t| t + from)
            .collect();
        let named = |name: &str| {
            let at = block::metrics(own).position(|metric| metric.is_named(name))?;
            times.get(at).map(|time| time + 9)
        };
        Self {
            count: times.len(),
            duration: named("scrape_duration_seconds"),
            added: named("scrape_series_added"),
            times,
        }
    }

    pub(super) fn patch(&self, buffer: &mut [u8], at: u64, stats: &ScrapeStats, added: usize) {
        for time in &self.times {
            wire::set(buffer, *time, at);
        }
        let values = [
            (self.duration, stats.duration_seconds),
            (self.added, added as f64),
        ];
        for (slot, value) in values {
            if let Some(slot) = slot {
                wire::set(buffer, slot, value.to_bits());
            }
        }
    }
}

/// Returns the metrics as fields of their scope.
pub(super) fn encoded(metrics: &[opentelemetry_proto::tonic::metrics::v1::Metric]) -> Vec<u8> {
    let mut out = Vec::new();
    for metric in metrics {
        encoding::message::encode(2, metric, &mut out);
    }
    out
}

/// Returns a request up to the metrics of its one scope, which take `length` bytes.
pub(super) fn header(resource: Option<&Resource>, identity: &Identity, length: usize) -> Vec<u8> {
    let resource = resource.map(Message::encode_to_vec).unwrap_or_default();
    let scope = own_scope(identity)
        .scope
        .unwrap_or_default()
        .encode_to_vec();
    let scope_metrics = wire::field_length(scope.len()) + length;
    let inner = wire::field_length(resource.len()) + wire::field_length(scope_metrics);
    let mut out = Vec::with_capacity(wire::field_length(inner));
    wire::put_header(&mut out, FIRST, inner);
    wire::put_bytes(&mut out, FIRST, &resource);
    wire::put_header(&mut out, SECOND, scope_metrics);
    wire::put_bytes(&mut out, FIRST, &scope);
    out
}
