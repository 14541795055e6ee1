//! Decides which frames of the previous backup survive in the next one.

/// The part of old versions above which the backup is written afresh: one byte in so many.
const DEAD: u64 = 4;
/// The number of small frames above which they are made anew as one.
pub const SMALL_FRAMES: usize = 32;

/// The facts about a frame of the previous backup, once the fate of all its licences is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameFate {
    /// The frame has something that must not be in the next backup.
    pub must_go: bool,
    /// The frame is small. Each backup that finds something new leaves one, and licences compress
    /// better together.
    pub is_small: bool,
    /// The frame has an unchanged licence.
    pub has_life: bool,
    /// Bytes of its unchanged licences, and of the old versions beside them.
    pub live: u64,
    pub dead: u64,
}

/// Decides which of the `frames` stay; the licences of the others are read again. None stay where
/// too little would be left. `has_new` says that the backup gets new licences.
pub fn kept(frames: &[FrameFate], has_new: bool) -> Vec<bool> {
    let mut kept: Vec<bool> = frames
        .iter()
        .map(|frame| !frame.must_go && frame.has_life)
        .collect();
    // An unchanged backup gets no other small frame.
    let grows = has_new || kept.iter().any(|kept| !kept);
    let small = |kept: &[bool]| {
        let both = frames.iter().zip(kept);
        both.filter(|(frame, kept)| frame.is_small && **kept)
            .count()
    };
    if grows && small(&kept) > SMALL_FRAMES {
        let both = kept.iter_mut().zip(frames);
        both.for_each(|(kept, frame)| *kept &= !frame.is_small);
    }
    let stay = || frames.iter().zip(&kept).filter(|(_, kept)| **kept);
    let live: u64 = stay().map(|(frame, _)| frame.live).sum();
    let dead: u64 = stay().map(|(frame, _)| frame.dead).sum();
    if dead > (live + dead) / DEAD {
        kept.fill(false);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: FrameFate = FrameFate {
        must_go: false,
        is_small: false,
        has_life: true,
        live: 100,
        dead: 0,
    };

    #[test]
    fn a_frame_goes_with_what_must_go_and_with_its_last_unchanged_licence() {
        let must_go = FrameFate {
            must_go: true,
            ..WHOLE
        };
        let lifeless = FrameFate {
            has_life: false,
            live: 0,
            ..WHOLE
        };
        let frames = [WHOLE, must_go, lifeless, WHOLE];
        for has_new in [false, true] {
            assert_eq!(kept(&frames, has_new), [true, false, false, true]);
        }
        assert!(kept(&[], true).is_empty());
    }

    #[test]
    fn all_goes_where_too_much_is_of_old_versions() {
        let with_dead = |dead| FrameFate { dead, ..WHOLE };
        assert_eq!(kept(&[with_dead(33)], false), [true]);
        assert_eq!(kept(&[with_dead(34)], false), [false]);
        // A part of the whole: another frame makes up for it.
        assert_eq!(kept(&[with_dead(34), WHOLE], false), [true, true]);
        // A frame that goes anyway does not count.
        let gone = FrameFate {
            must_go: true,
            ..with_dead(1000)
        };
        assert_eq!(kept(&[gone, WHOLE], false), [false, true]);
    }

    #[test]
    fn small_frames_become_one_where_another_would_come() {
        let small = FrameFate {
            is_small: true,
            ..WHOLE
        };
        let mut frames = vec![WHOLE];
        frames.resize(1 + SMALL_FRAMES, small);
        assert!(kept(&frames, true).iter().all(|kept| *kept));
        frames.push(small);
        // Nothing has changed: there is no new small frame.
        assert!(kept(&frames, false).iter().all(|kept| *kept));
        let stay = kept(&frames, true);
        assert!(stay[0] && stay[1..].iter().all(|kept| !kept));
        // A frame that goes comes anew.
        frames.push(FrameFate {
            must_go: true,
            ..WHOLE
        });
        assert!(kept(&frames, false)[1..].iter().all(|kept| !kept));
    }
}
