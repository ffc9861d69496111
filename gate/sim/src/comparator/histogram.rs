//! Latency of an arm, summed densely: sketches of one kind and scale, as one traffic makes them.

use davy_gate_core::sketch::Sketch;

/// Counts by bucket, of one kind of buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Scale of exponential buckets; 2^scale of them double the latency.
    scale: i32,
    /// Bounds of explicit buckets, in seconds; empty of exponential ones.
    bounds: Vec<f64>,
    /// Index of the first bucket.
    first: i32,
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Whether the buckets have given bounds, which can't be moved by a ratio.
    pub fn is_explicit(&self) -> bool {
        !self.bounds.is_empty()
    }

    /// Adds a sketch of the same kind and scale as the first one.
    pub fn add(&mut self, sketch: &Sketch) {
        match sketch {
            Sketch::Empty => {}
            Sketch::Explicit(explicit) => {
                if self.bounds.is_empty() {
                    self.bounds = explicit.bounds().to_vec();
                }
                self.add_counts(0, explicit.counts());
            }
            Sketch::Exponential(exponential) => {
                self.scale = exponential.scale();
                self.add_counts(exponential.offset(), exponential.counts());
            }
        }
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.clone_from(other);
        } else {
            self.add_counts(other.first, &other.counts);
        }
    }

    fn add_counts(&mut self, first: i32, counts: &[u64]) {
        if counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            self.first = first;
        }
        if first < self.first {
            let room = (self.first - first) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, room));
            self.first = first;
        }
        let from = (first - self.first) as usize;
        if self.counts.len() < from + counts.len() {
            self.counts.resize(from + counts.len(), 0);
        }
        if let Some(sums) = self.counts.get_mut(from..) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        self.total += counts.iter().sum::<u64>();
    }

    /// Requests.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Requests above the bucket `edge`.
    pub fn above(&self, edge: i32) -> u64 {
        let from = (i64::from(edge) + 1 - i64::from(self.first)).max(0) as usize;
        self.counts.iter().skip(from).sum()
    }

    /// The lowest bucket with at most `share` of the requests above it; none of no request.
    pub fn edge(&self, share: f64) -> Option<i32> {
        let allowed = share * self.total as f64;
        if self.total == 0 {
            return None;
        }
        // Few are above it, so it is near the top.
        let mut above = 0;
        for (i, count) in self.counts.iter().enumerate().rev() {
            above += count;
            if above as f64 > allowed {
                return Some(self.first + i as i32);
            }
        }
        Some(self.first)
    }

    /// Upper bound of a bucket in seconds; infinite of the open one.
    pub fn upper(&self, bucket: i32) -> f64 {
        if self.is_explicit() {
            let bound = usize::try_from(bucket)
                .ok()
                .and_then(|i| self.bounds.get(i));
            return bound.copied().unwrap_or(f64::INFINITY);
        }
        libm::exp2(libm::ldexp(f64::from(bucket) + 1.0, -self.scale))
    }

    /// The quantile at which `share` of the requests are above, in seconds, interpolated within
    /// its bucket.
    pub fn quantile_above(&self, share: f64) -> Option<f64> {
        let bucket = self.edge(share)?;
        let (above, total) = (self.above(bucket) as f64, self.total() as f64);
        let inside = (self.above(bucket - 1) as f64 - above).max(1.0);
        let from_top = ((share * total - above) / inside).clamp(0.0, 1.0);
        if self.is_explicit() {
            let low = if bucket > 0 {
                self.upper(bucket - 1)
            } else {
                0.0
            };
            let high = self.upper(bucket);
            let open = !high.is_finite();
            return Some(if open {
                low
            } else {
                high - from_top * (high - low)
            });
        }
        Some(self.upper(bucket) * libm::exp2(-libm::ldexp(from_top, -self.scale)))
    }

    /// Buckets by which an edge moves for a ratio, rounded up or down; 0 of explicit ones.
    pub fn shift(&self, ratio: f64, up: bool) -> i32 {
        if self.is_explicit() {
            return 0;
        }
        let buckets = libm::ldexp(libm::log2(ratio), self.scale);
        let whole = if up {
            (buckets - 1e-9).ceil()
        } else {
            (buckets + 1e-9).floor()
        };
        whole as i32
    }

    /// Sum and sum of squares of latency, each request in the middle of its bucket.
    pub fn sums(&self) -> (f64, f64) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for (i, &count) in (self.first..).zip(&self.counts) {
            if count > 0 {
                let x = self.middle(i);
                sum += count as f64 * x;
                squares += count as f64 * x * x;
            }
        }
        (sum, squares)
    }

    fn middle(&self, bucket: i32) -> f64 {
        if !self.is_explicit() {
            return libm::exp2(libm::ldexp(f64::from(bucket) + 0.5, -self.scale));
        }
        let low = if bucket > 0 {
            self.upper(bucket - 1)
        } else {
            0.0
        };
        let high = self.upper(bucket);
        if high.is_finite() {
            0.5 * (low + high)
        } else {
            low
        }
    }
}
