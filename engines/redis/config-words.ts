/** Splitting a configuration line into words and quoting words so that they split back. Strings hold one byte a character (latin1). */

const isSpace = (c: string): boolean =>
  c === ' ' || c === '\t' || c === '\n' || c === '\r' || c === '\v' || c === '\f' || c === '\0';
const hexDigit = /^[0-9a-fA-F]$/;
const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };

/**
 * Splits a line into words: blanks separate; "double quotes" know \xHH, \n, \r, \t, \b, \a and \" ; 'single quotes' only \'.
 * @returns the words, or null when a quote is not closed or is followed by something else than a blank
 */
export function splitWords(line: string): string[] | null {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && isSpace(line[at]!)) at++;
    if (at >= line.length) return words;
    let word = '';
    let quote = '';
    for (;;) {
      const c = line[at];
      if (c === undefined) {
        if (quote !== '') return null;
        break;
      }
      if (
        quote === '"' &&
        c === '\\' &&
        line[at + 1] === 'x' &&
        hexDigit.test(line[at + 2] ?? '') &&
        hexDigit.test(line[at + 3] ?? '')
      ) {
        word += String.fromCharCode(Number.parseInt(line.slice(at + 2, at + 4), 16));
        at += 4;
      } else if (quote === '"' && c === '\\' && at + 1 < line.length) {
        word += escapes[line[at + 1]!] ?? line[at + 1]!;
        at += 2;
      } else if (quote === "'" && c === '\\' && line[at + 1] === "'") {
        word += "'";
        at += 2;
      } else if (quote !== '' && c === quote) {
        if (at + 1 < line.length && !isSpace(line[at + 1]!)) return null;
        at++;
        break;
      } else if (quote !== '') {
        word += c;
        at++;
      } else if (isSpace(c)) {
        break;
      } else if (c === '"' || c === "'") {
        // As in the original, a quote may open in the middle of a word.
        quote = c;
        at++;
      } else {
        word += c;
        at++;
      }
    }
    words.push(word);
  }
}

/** The word in double quotes, with whatever is not printable escaped. */
export function quoteWord(word: string): string {
  let out = '"';
  for (const c of word) {
    const code = c.charCodeAt(0);
    if (c === '\\' || c === '"') out += `\\${c}`;
    else if (c === '\n') out += '\\n';
    else if (c === '\r') out += '\\r';
    else if (c === '\t') out += '\\t';
    else if (c === '\x07') out += '\\a';
    else if (c === '\b') out += '\\b';
    else if (code >= 32 && code < 127) out += c;
    else out += `\\x${(code & 255).toString(16).padStart(2, '0')}`;
  }
  return `${out}"`;
}
