/** Glob patterns over short texts (names of settings, channels, commands), by the rules of the original's KEYS patterns. */

/** Bound on nested stars, so that a hostile pattern cannot hold the server up for long. */
const MAX_STARS = 1_000;

function fold(code: number, ignoreCase: boolean): number {
  return ignoreCase && code >= 65 && code <= 90 ? code + 32 : code;
}

/** A character class that begins behind "[" at `p`. */
function matchClass(pattern: string, p: number, code: number, ignoreCase: boolean): { matched: boolean; next: number } {
  const negated = pattern[p] === '^';
  if (negated) p++;
  let matched = false;
  for (;;) {
    if (p >= pattern.length) {
      // An unclosed class ends with the pattern.
      p--;
      break;
    }
    const c = pattern.charCodeAt(p);
    if (c === 92 && p + 1 < pattern.length) {
      p++;
      if (pattern.charCodeAt(p) === code) matched = true;
    } else if (c === 93) {
      break;
    } else if (pattern[p + 1] === '-' && p + 2 < pattern.length) {
      let low = fold(c, ignoreCase);
      let high = fold(pattern.charCodeAt(p + 2), ignoreCase);
      if (low > high) [low, high] = [high, low];
      const folded = fold(code, ignoreCase);
      if (folded >= low && folded <= high) matched = true;
      p += 2;
    } else if (fold(c, ignoreCase) === fold(code, ignoreCase)) {
      matched = true;
    }
    p++;
  }
  return { matched: matched !== negated, next: p + 1 };
}

function matchFrom(
  pattern: string,
  p: number,
  text: string,
  t: number,
  ignoreCase: boolean,
  stars: number,
): boolean | 'hopeless' {
  if (stars > MAX_STARS) return false;
  while (p < pattern.length && t < text.length) {
    const c = pattern[p];
    if (c === '*') {
      while (pattern[p + 1] === '*') p++;
      if (p + 1 === pattern.length) return true;
      for (; t < text.length; t++) {
        const rest = matchFrom(pattern, p + 1, text, t, ignoreCase, stars + 1);
        // A longer skip cannot help when the rest already failed at a star of its own.
        if (rest !== false) return rest;
      }
      return 'hopeless';
    }
    if (c === '?') {
      p++;
    } else if (c === '[') {
      const one = matchClass(pattern, p + 1, text.charCodeAt(t), ignoreCase);
      if (!one.matched) return false;
      p = one.next;
    } else {
      if (c === '\\' && p + 1 < pattern.length) p++;
      if (fold(pattern.charCodeAt(p), ignoreCase) !== fold(text.charCodeAt(t), ignoreCase)) return false;
      p++;
    }
    t++;
  }
  if (t === text.length) while (pattern[p] === '*') p++;
  return p >= pattern.length && t === text.length;
}

/** @returns whether the whole text matches */
export function globMatch(pattern: string, text: string, ignoreCase: boolean): boolean {
  return matchFrom(pattern, 0, text, 0, ignoreCase, 0) === true;
}
