/**
 * Reads what the house's rules are about from TypeScript source: its imports, the entry files it starts, and the text without comments
 * and strings. A scanner of characters, because the compiler in use offers no parser to programs.
 */

/** One import of a file. */
export interface ImportOf {
  specifier: string;
  line: number;
  /** Written as `import type` or `export type`: gone when the program runs. */
  typeOnly: boolean;
}

/** A source file, read. */
export interface Scanned {
  imports: ImportOf[];
  /** Relative paths handed to `entryUrl(import.meta.url, …)` or `new URL(…, import.meta.url)`: started as workers or processes. */
  entries: string[];
  /** The text with comments and the contents of strings blanked; lines and columns stay. */
  code: string;
}

const REGEX_MAY_FOLLOW =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield))\s*$/;

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

/** Where the quoted, commented or regular-expression stretch that begins at `i` ends (exclusive). */
function stretchEnd(source: string, i: number): number {
  const open = source[i];
  if (open === '/' && source[i + 1] === '/') {
    const end = source.indexOf('\n', i);
    return end < 0 ? source.length : end;
  }
  if (open === '/' && source[i + 1] === '*') {
    const end = source.indexOf('*/', i + 2);
    return end < 0 ? source.length : end + 2;
  }
  let inClass = false;
  for (let j = i + 1; j < source.length; j++) {
    const c = source[j];
    if (c === '\\') j++;
    else if (open === '/' && c === '[') inClass = true;
    else if (open === '/' && c === ']') inClass = false;
    else if (c === open && !inClass) return j + 1;
    else if (c === '\n' && open !== '`') return j;
  }
  return source.length;
}

interface Blanked {
  /** Without comments; strings are kept. */
  withStrings: string;
  code: string;
}

/** @param i where a template literal's text goes on; returns its end after blanking the text but not the `${…}` parts */
function blankTemplate(source: string, i: number, out: string[], withStrings: string[]): number {
  let j = i;
  let from = i;
  const text = (end: number): void => {
    out.push(blank(source.slice(from, end)));
    withStrings.push(source.slice(from, end));
  };
  while (j < source.length) {
    if (source[j] === '\\') j += 2;
    else if (source[j] === '`') {
      text(j + 1);
      return j + 1;
    } else if (source[j] === '$' && source[j + 1] === '{') {
      text(j + 2);
      j = from = blankCode(source, j + 2, out, withStrings, true);
    } else j++;
  }
  text(source.length);
  return source.length;
}

/** Blanks from `i` on; with `nested`, up to the brace that closes a template's `${`. */
function blankCode(source: string, i: number, out: string[], withStrings: string[], nested: boolean): number {
  let depth = 0;
  let before = '';
  while (i < source.length) {
    const c = source[i];
    if (nested && c === '}' && depth-- === 0) return i;
    if (nested && c === '{') depth++;
    const comment = c === '/' && (source[i + 1] === '/' || source[i + 1] === '*');
    if (c === '`') {
      out.push(' ');
      withStrings.push(c);
      i = blankTemplate(source, i + 1, out, withStrings);
      before = ')';
    } else if (comment || c === "'" || c === '"' || (c === '/' && REGEX_MAY_FOLLOW.test(before))) {
      const end = stretchEnd(source, i);
      const text = source.slice(i, end);
      out.push(blank(text));
      withStrings.push(comment ? blank(text) : text);
      if (!comment) before = ')';
      i = end;
    } else {
      out.push(c);
      withStrings.push(c);
      before = (before + c).slice(-24);
      i++;
    }
  }
  return i;
}

function blanked(source: string): Blanked {
  const out: string[] = [];
  const withStrings: string[] = [];
  blankCode(source, 0, out, withStrings, false);
  return { withStrings: withStrings.join(''), code: out.join('') };
}

/** The line, counted from 1, of a place in a text. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** Reads one source text. */
export function scanSource(source: string): Scanned {
  const { withStrings, code } = blanked(source);
  const imports: ImportOf[] = [];
  const add = (match: RegExpMatchArray, specifier: string, typeOnly: boolean): void => {
    // What only looks like an import inside of a string has no keyword left in the code.
    const keyword = code.slice(match.index).match(/^\s*(import|export)\b/);
    if (keyword) imports.push({ specifier, line: lineAt(source, (match.index ?? 0) + match[0].length), typeOnly });
  };
  for (const match of withStrings.matchAll(
    /\b(?:import|export)\s+(type\s+)?[\w*{}\s,$]*?\bfrom\s*['"]([^'"\n]+)['"]/g,
  )) {
    add(match, match[2], match[1] !== undefined);
  }
  for (const match of withStrings.matchAll(/\bimport\s*['"]([^'"\n]+)['"]/g)) add(match, match[1], false);
  for (const match of withStrings.matchAll(/\bimport\s*\(\s*['"]([^'"\n]+)['"]/g)) add(match, match[1], false);
  const entries: string[] = [];
  for (const match of withStrings.matchAll(/\bentryUrl\(\s*[\w.]+\s*,\s*['"]([^'"\n]+)['"]/g)) entries.push(match[1]);
  for (const match of withStrings.matchAll(/\bnew URL\(\s*['"]([^'"\n]+\.[tj]s)['"]\s*,\s*import\.meta\.url/g))
    entries.push(match[1]);
  return { imports, entries, code };
}
