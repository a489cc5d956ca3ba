//! Which layer of the student is compared with which of the teacher.
//!
//! Source: Jiao et al. 2020 (TinyBERT), arXiv:1909.10351, section 3.2 and table 4 (uniform, top, bottom); Wang
//! et al. 2020 (MiniLM), arXiv:2002.10957, section 3 (the last layer alone).

use serde::{Deserialize, Serialize};

/// How the student's layers are paired with the teacher's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LayerMap {
    /// Every k-th layer of the teacher, its last for the student's last.
    Uniform,
    /// The teacher's first layers.
    First,
    /// The teacher's last layers.
    Last,
    /// Only the last layer of each.
    Top,
    /// Pairs of the student's and the teacher's layers, from 0.
    Pairs(Vec<(usize, usize)>),
}

impl LayerMap {
    /// The pairs for these numbers of layers, the student's first.
    ///
    /// # Errors
    /// A text: layers that are not there, or a teacher with fewer layers than its student where each is paired.
    pub fn pairs(&self, student: usize, teacher: usize) -> Result<Vec<(usize, usize)>, String> {
        if let LayerMap::Pairs(pairs) = self {
            return match pairs.iter().find(|(own, theirs)| *own >= student || *theirs >= teacher) {
                None => Ok(pairs.clone()),
                Some((own, theirs)) => Err(format!(
                    "{own}:{theirs} does not exist: the student has layers 0 to {}, the teacher 0 to {}",
                    student.saturating_sub(1),
                    teacher.saturating_sub(1)
                )),
            };
        }
        // Any two models have last layers.
        let too_few = teacher < student && *self != LayerMap::Top;
        if too_few || student == 0 || teacher == 0 {
            return Err(format!(
                "the student has {student} layers and the teacher {teacher}: give \"top\" or explicit pairs"
            ));
        }
        Ok(match self {
            LayerMap::Uniform => (0..student).map(|own| (own, (own + 1) * teacher / student - 1)).collect(),
            LayerMap::First => (0..student).map(|own| (own, own)).collect(),
            LayerMap::Last => (0..student).map(|own| (own, teacher - student + own)).collect(),
            LayerMap::Top | LayerMap::Pairs(_) => vec![(student - 1, teacher - 1)],
        })
    }
}

impl TryFrom<String> for LayerMap {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match text.as_str() {
            "uniform" => LayerMap::Uniform,
            "first" => LayerMap::First,
            "last" => LayerMap::Last,
            "top" => LayerMap::Top,
            pairs => LayerMap::Pairs(read_pairs(pairs).ok_or_else(|| {
                format!(
                    "{text:?} is not a layer map; expected uniform, first, last, top or pairs such as \"0:1,2:3\""
                )
            })?),
        })
    }
}

fn read_pairs(text: &str) -> Option<Vec<(usize, usize)>> {
    let pair = |text: &str| {
        let (student, teacher) = text.split_once(':')?;
        Some((student.trim().parse().ok()?, teacher.trim().parse().ok()?))
    };
    text.split(',').map(pair).collect()
}

impl From<LayerMap> for String {
    fn from(map: LayerMap) -> Self {
        match map {
            LayerMap::Uniform => "uniform".to_owned(),
            LayerMap::First => "first".to_owned(),
            LayerMap::Last => "last".to_owned(),
            LayerMap::Top => "top".to_owned(),
            LayerMap::Pairs(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(own, theirs)| format!("{own}:{theirs}")).collect();
                pairs.join(",")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> LayerMap {
        LayerMap::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn maps_pair_layers_as_tinybert_says() {
        assert_eq!(map("uniform").pairs(3, 6).unwrap(), [(0, 1), (1, 3), (2, 5)]);
        assert_eq!(map("uniform").pairs(4, 6).unwrap(), [(0, 0), (1, 2), (2, 3), (3, 5)]);
        assert_eq!(map("first").pairs(2, 6).unwrap(), [(0, 0), (1, 1)]);
        assert_eq!(map("last").pairs(2, 6).unwrap(), [(0, 4), (1, 5)]);
        assert_eq!(map("top").pairs(2, 6).unwrap(), [(1, 5)]);
        assert_eq!(map("0:1, 2:3").pairs(3, 6).unwrap(), [(0, 1), (2, 3)]);
    }

    #[test]
    fn only_the_last_layers_are_compared_also_if_the_student_is_deeper() {
        assert_eq!(map("top").pairs(6, 3).unwrap(), [(5, 2)]);
        assert!(map("top").pairs(6, 0).is_err() && map("top").pairs(0, 3).is_err());
    }

    #[test]
    fn invalid_maps_and_missing_layers_are_reported() {
        for bad in ["", "middle", "0-1", "0:1,", "0:-1"] {
            assert!(LayerMap::try_from(bad.to_owned()).unwrap_err().contains("is not a layer map"), "{bad}");
        }
        assert!(map("0:6").pairs(3, 6).unwrap_err().contains("the teacher 0 to 5"));
        assert!(map("uniform").pairs(6, 3).unwrap_err().contains("explicit pairs"));
        assert_eq!(String::from(map("0:1,2:3")), "0:1,2:3");
    }
}
