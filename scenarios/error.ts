/** What is wrong with a scenario, as the person who wrote it needs to hear it. */

export interface ScenarioProblem {
  /** Line and column from 1, where the mistake stands in the file; null for one that stands elsewhere (an option, the file itself). */
  line: number | null;
  column: number | null;
  /** Dotted path such as "dataset.valueSize.min"; empty for the file as a whole. */
  field: string;
  /** What is wrong and what to do. */
  text: string;
  /** The command-line option that brought the value in, if one did. */
  option: string | null;
}

/** More problems than this are counted, not shown: they mostly follow from the first ones. */
const MAX_SHOWN = 20;

function place(source: string, problem: ScenarioProblem): string {
  if (problem.option !== null) return problem.option;
  return problem.line === null ? source : `${source}:${problem.line}:${problem.column}`;
}

export class ScenarioError extends Error {
  override readonly name = 'ScenarioError';
  /** Where the scenario came from: a built-in's name or a file's path as given. */
  readonly source: string;
  readonly problems: readonly ScenarioProblem[];

  constructor(source: string, problems: readonly ScenarioProblem[]) {
    const shown = problems.slice(0, MAX_SHOWN).map((problem) => {
      const field = problem.field === '' ? '' : `${problem.field}: `;
      return `${place(source, problem)}: ${field}${problem.text}`;
    });
    if (problems.length > MAX_SHOWN) shown.push(`and ${problems.length - MAX_SHOWN} more`);
    super(
      shown.length === 1
        ? `Cannot read scenario ${shown[0]}`
        : `Cannot read scenario ${source}: ${problems.length} mistakes\n  ${shown.join('\n  ')}`,
    );
    this.source = source;
    this.problems = problems;
  }
}

/** A problem of the whole file or of nothing in it. */
export function problemOf(text: string, field = ''): ScenarioProblem {
  return { line: null, column: null, field, text, option: null };
}

/** Edit distance with transpositions (optimal string alignment), stopped where it exceeds a third of the word. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.length][b.length];
}

/** @returns the known word that was probably meant, or null. Case, "-" and "_" do not count. */
export function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > 60) return null;
  const plain = (text: string): string => text.toLowerCase().replace(/[-_ ]/g, '');
  const wanted = plain(word);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const name of known) {
    const d = distance(wanted, plain(name));
    if (d < bestDistance) {
      best = name;
      bestDistance = d;
    }
  }
  return best;
}

/** ' (did you mean "keys"?)', or the list of what is known. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near !== null ? ` (did you mean "${near}"?)` : ` (known: ${known.join(', ')})`;
}
