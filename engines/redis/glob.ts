/** Glob patterns as KEYS, SCAN and PSUBSCRIBE take them: `*`, `?`, `[a-z]`, `[^…]` and backslash. */

const STAR = 42;
const QUESTION = 63;
const OPEN = 91;
const CLOSE = 93;
const CARET = 94;
const DASH = 45;
const BACKSLASH = 92;

/** Set when the rest of a pattern matched nowhere in the rest of the text: no earlier star need try longer matches. */
let hopeless = false;

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

/** Whether the text [text, text + textLength) matches the pattern, both bytes of `u8`. */
export function globMatches(
  u8: Uint8Array,
  pattern: number,
  patternLength: number,
  text: number,
  textLength: number,
  ignoreCase = false,
): boolean {
  hopeless = false;
  return matches(u8, pattern, pattern + patternLength, text, text + textLength, ignoreCase);
}

/** Where the class that matchClass looked at ends in the pattern. */
let classEnd = 0;

/** Matches one byte against the class whose first byte after "[" is at `p`. */
function matchClass(u8: Uint8Array, p: number, pEnd: number, byte: number, ignoreCase: boolean): boolean {
  const negated = p < pEnd && u8[p] === CARET;
  if (negated) p++;
  let found = false;
  const wanted = ignoreCase ? lower(byte) : byte;
  for (;;) {
    if (p >= pEnd) {
      // An unclosed class ends with the pattern.
      p--;
      break;
    }
    if (pEnd - p >= 2 && u8[p] === BACKSLASH) {
      p++;
      if (u8[p] === byte) found = true;
    } else if (u8[p] === CLOSE) {
      break;
    } else if (pEnd - p >= 3 && u8[p + 1] === DASH) {
      let from = Math.min(u8[p], u8[p + 2]);
      let to = Math.max(u8[p], u8[p + 2]);
      if (ignoreCase) {
        from = lower(from);
        to = lower(to);
      }
      p += 2;
      if (wanted >= from && wanted <= to) found = true;
    } else if ((ignoreCase ? lower(u8[p]) : u8[p]) === wanted) {
      found = true;
    }
    p++;
  }
  classEnd = p;
  return negated ? !found : found;
}

function matches(u8: Uint8Array, p: number, pEnd: number, t: number, tEnd: number, ignoreCase: boolean): boolean {
  while (p < pEnd && t < tEnd) {
    switch (u8[p]) {
      case STAR:
        while (p + 1 < pEnd && u8[p + 1] === STAR) p++;
        if (p + 1 === pEnd) return true;
        while (t < tEnd && !hopeless) {
          if (matches(u8, p + 1, pEnd, t, tEnd, ignoreCase)) return true;
          t++;
        }
        hopeless = true;
        return false;
      case QUESTION:
        t++;
        break;
      case OPEN:
        if (!matchClass(u8, p + 1, pEnd, u8[t], ignoreCase)) return false;
        p = classEnd;
        t++;
        break;
      default:
        if (u8[p] === BACKSLASH && pEnd - p >= 2) p++;
        if (ignoreCase ? lower(u8[p]) !== lower(u8[t]) : u8[p] !== u8[t]) return false;
        t++;
    }
    p++;
    if (t === tEnd) {
      while (p < pEnd && u8[p] === STAR) p++;
      break;
    }
  }
  return p >= pEnd && t === tEnd;
}

const FIRST_BYTES = 1024;
/** Pattern and text of globMatchesText, one behind the other. */
let both = new Uint8Array(FIRST_BYTES);

function put(text: string, at: number): void {
  for (let i = 0; i < text.length; i++) both[at + i] = text.charCodeAt(i);
}

/** The same for names of settings, channels and commands, which are strings of one byte a char. */
export function globMatchesText(pattern: string, text: string, ignoreCase: boolean): boolean {
  const bytes = pattern.length + text.length;
  if (bytes > both.length) both = new Uint8Array(bytes * 2);
  put(pattern, 0);
  put(text, pattern.length);
  return globMatches(both, 0, pattern.length, pattern.length, text.length, ignoreCase);
}

/** The same for a pattern that lies in bytes of its own, so that nothing becomes a string. */
export function globMatchesBytes(pattern: Uint8Array, u8: Uint8Array, text: number, length: number): boolean {
  const bytes = pattern.length + length;
  if (bytes > both.length) both = new Uint8Array(bytes * 2);
  both.set(pattern);
  for (let i = 0; i < length; i++) both[pattern.length + i] = u8[text + i]!;
  return globMatches(both, 0, pattern.length, pattern.length, length);
}
