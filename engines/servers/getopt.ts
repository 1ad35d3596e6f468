/**
 * Cuts a command line into options as the C library's getopt_long does: clustered short flags, values that stand behind a flag or in the
 * next word, long names cut short while they are not ambiguous, words that are no options anywhere between, `--` as the end. The
 * texts for what is wrong are the C library's as well.
 */

/** Whether an option has a value: never, always, or only behind "=" (long names). */
export type OptionValue = 'none' | 'required' | 'optional';

export interface LongOption {
  name: string;
  value: OptionValue;
  /** The short flag that it stands for. */
  flag: string;
}

export interface OptionGrammar {
  /** Short flags without a value, each one letter. */
  plain: string;
  /** Short flags with a value. */
  withValue: string;
  /** In the order in which ambiguous ones are told. */
  long: readonly LongOption[];
}

/** A word that getopt_long would refuse; `text` goes behind the program's name. */
export class GetoptError extends Error {
  constructor(text: string) {
    super(text);
    this.name = 'GetoptError';
  }
}

/**
 * Hands over one option after the other, so that what an earlier option does comes before a later one's error.
 * @param take called with the short flag and its value, null without one; returns false to stop
 * @throws GetoptError
 */
export function getopt(
  argv: readonly string[],
  grammar: OptionGrammar,
  take: (flag: string, value: string | null) => boolean,
): void {
  let i = 0;
  while (i < argv.length) {
    const word = argv[i++]!;
    if (word === '--') return;
    if (word.startsWith('--')) {
      const { option, value } = longOption(word.slice(2), grammar.long);
      if (option.value !== 'required' || value !== null) {
        if (!take(option.flag, value)) return;
      } else {
        if (i === argv.length) throw new GetoptError(`option '--${option.name}' requires an argument`);
        if (!take(option.flag, argv[i++]!)) return;
      }
    } else if (word.startsWith('-') && word.length > 1) {
      for (let j = 1; j < word.length; j++) {
        const flag = word[j]!;
        if (grammar.plain.includes(flag)) {
          if (!take(flag, null)) return;
          continue;
        }
        if (!grammar.withValue.includes(flag)) throw new GetoptError(`invalid option -- '${flag}'`);
        if (j + 1 === word.length && i === argv.length)
          throw new GetoptError(`option requires an argument -- '${flag}'`);
        if (!take(flag, j + 1 < word.length ? word.slice(j + 1) : argv[i++]!)) return;
        break;
      }
    }
  }
}

function longOption(text: string, table: readonly LongOption[]): { option: LongOption; value: string | null } {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  const value = equals < 0 ? null : text.slice(equals + 1);
  const exact = table.find((option) => option.name === name);
  const fitting = exact === undefined ? table.filter((option) => option.name.startsWith(name)) : [exact];
  const option = fitting[0];
  if (option === undefined) throw new GetoptError(`unrecognized option '--${text}'`);
  if (fitting.length > 1) {
    const names = fitting.map((each) => ` '--${each.name}'`).join('');
    throw new GetoptError(`option '--${text}' is ambiguous; possibilities:${names}`);
  }
  if (value !== null && option.value === 'none') {
    throw new GetoptError(`option '--${option.name}' doesn't allow an argument`);
  }
  return { option, value };
}
