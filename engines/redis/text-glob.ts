/** Glob patterns over short texts (names of settings, channels, commands): the matcher of KEYS, fed with strings of one byte a char. */
import { globMatches } from './glob.ts';

const FIRST_BYTES = 1024;
let scratch = new Uint8Array(FIRST_BYTES);

function put(text: string, at: number): void {
  for (let i = 0; i < text.length; i++) scratch[at + i] = text.charCodeAt(i);
}

/** @returns whether the whole text matches */
export function globMatch(pattern: string, text: string, ignoreCase: boolean): boolean {
  const bytes = pattern.length + text.length;
  if (bytes > scratch.length) scratch = new Uint8Array(bytes * 2);
  put(pattern, 0);
  put(text, pattern.length);
  return globMatches(scratch, 0, pattern.length, pattern.length, text.length, ignoreCase);
}
