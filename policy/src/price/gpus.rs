//! GPUs of an EC2 instance type.
//!
//! Source: AWS, "Amazon EC2 accelerated computing instances", GPU column, read 2026-11; NVIDIA and AMD GPUs only.

/// Instance types with more than one GPU, or that are not of one of the families below.
const COUNTS: [(&str, u32); 33] = [
    ("g3.8xlarge", 2),
    ("g3.16xlarge", 4),
    ("g4ad.8xlarge", 2),
    ("g4ad.16xlarge", 4),
    ("g4dn.12xlarge", 4),
    ("g4dn.metal", 8),
    ("g5.12xlarge", 4),
    ("g5.24xlarge", 4),
    ("g5.48xlarge", 8),
    ("g5g.16xlarge", 2),
    ("g5g.metal", 2),
    ("g6.12xlarge", 4),
    ("g6.24xlarge", 4),
    ("g6.48xlarge", 8),
    ("g6e.12xlarge", 4),
    ("g6e.24xlarge", 4),
    ("g6e.48xlarge", 8),
    ("p2.8xlarge", 8),
    ("p2.16xlarge", 16),
    ("p3.8xlarge", 4),
    ("p3.16xlarge", 8),
    ("p3dn.24xlarge", 8),
    ("p4d.24xlarge", 8),
    ("p4de.24xlarge", 8),
    ("p5.4xlarge", 1),
    ("p5.48xlarge", 8),
    ("p5e.48xlarge", 8),
    ("p5en.48xlarge", 8),
    ("p6-b200.48xlarge", 8),
    ("p6-b300.48xlarge", 8),
    ("gr6.4xlarge", 1),
    ("gr6.8xlarge", 1),
    ("g3s.xlarge", 1),
];

/// Families whose other sizes have one GPU.
const ONE: [&str; 8] = ["g3", "g4ad", "g4dn", "g5", "g5g", "g6", "g6e", "p3"];
/// Their sizes.
const SIZES: [&str; 6] = ["xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge", "large"];

/// GPUs of an instance type; `None` where that is not known, which is not none.
#[must_use]
pub fn gpus_of(instance_type: &str) -> Option<u32> {
    if let Some((_, count)) = COUNTS.iter().find(|(name, _)| *name == instance_type) {
        return Some(*count);
    }
    let (family, size) = instance_type.split_once('.')?;
    (ONE.contains(&family) && SIZES.contains(&size)).then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_the_gpus_that_it_is_sold_with_and_an_unknown_one_an_unknown_number() {
        let cases = [
            ("g5.xlarge", Some(1)),
            ("g5.16xlarge", Some(1)),
            ("g5.12xlarge", Some(4)),
            ("g5g.16xlarge", Some(2)),
            ("p3.2xlarge", Some(1)),
            ("p4d.24xlarge", Some(8)),
            ("p5.48xlarge", Some(8)),
            ("m5.xlarge", None),
            ("trn1.32xlarge", None),
            ("p9.48xlarge", None),
            ("", None),
        ];
        for (name, wanted) in cases {
            assert_eq!(gpus_of(name), wanted, "{name}");
        }
    }
}
