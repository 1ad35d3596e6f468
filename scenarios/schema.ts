/**
 * Reads a scenario file: YAML, options of the command line, the matrix, units, ranges, combinations. All mistakes are reported at once, each
 * with its place and what to do; nothing but a ScenarioError is ever thrown for a bad file.
 */
import { type Document, LineCounter, parse, parseDocument } from 'yaml';
import { z } from 'zod';
import { checkCombinations } from './checks.ts';
import { nearest, problemOf, ScenarioError, type ScenarioProblem, suggestion } from './error.ts';
import { NAME_SEPARATOR, type ScenarioFile, scenarioFile } from './fields.ts';
import { type Path, positionOf } from './positions.ts';
import { expandScalar, expandShortForms } from './short-forms.ts';
import type { MatrixAxis, OperationKind, Scenario, ScenarioPlan, TargetSpec } from './spec.ts';
import { readTarget } from './targets.ts';
import { quote } from './units.ts';

export type { ScenarioProblem } from './error.ts';
export { ScenarioError } from './error.ts';

/** A scenario is a page of text; what is longer is something else. */
const MAX_FILE_CHARACTERS = 1_000_000;
/** A run of more cells would take weeks; it is a slip in a matrix. */
const MAX_CELLS = 1_000;
/** Nesting of a scenario is four deep; YAML that goes much deeper would only exhaust the stack of those who read it. */
const MAX_DEPTH = 50;

type Fields = Record<string, unknown>;
type Scalar = string | number | boolean;

export interface ReadOptions {
  /** "field=value", as --set gives them; the value is read as YAML. A list for a field that takes one value becomes a matrix axis. */
  set?: readonly string[];
  /** Environment for ${NAME} in target URLs. Default: none is known. */
  env?: Record<string, string | undefined>;
}

const schema = scenarioFile(false);

/** Fields whose value is a list by nature, so that `--set field=[…]` is no matrix axis. */
const LIST_FIELDS = [/^targets$/, /^targets\.\d+\.flags$/, /\.entries$/];

function isMap(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** "dataset.valueSize.min" as steps; numbers count in lists. Fields of the matrix keep their dots. */
function stepsOf(field: string): string[] {
  return field.split('.');
}

/** One reading of a file: collects problems and knows where things stand. */
class Reading {
  readonly source: string;
  readonly problems: ScenarioProblem[] = [];
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #seen = new Set<string>();
  /** Options by the dotted field they set. */
  readonly options = new Map<string, string>();

  constructor(source: string, document: Document, lines: LineCounter) {
    this.source = source;
    this.#document = document;
    this.#lines = lines;
  }

  /**
   * @param path of the field
   * @param cell the matrix's values in force: field -> place in its list
   */
  report(path: Path, text: string, key = false, cell?: ReadonlyMap<string, number>): void {
    const field = path.join('.');
    const covers = (name: string): boolean => field === name || field.startsWith(`${name}.`);
    const axis = [...(cell?.keys() ?? [])].find(covers);
    const option = [...this.options.keys()].reverse().find((name) => covers(name) || covers(`matrix.${name}`));
    const fromOption =
      option ?? (axis !== undefined ? [...this.options.keys()].find((name) => name === axis) : undefined);
    let position: { line: number; column: number } | null = null;
    if (fromOption === undefined) {
      // Of an axis the name is at fault when the field does not exist, otherwise the value.
      const at =
        axis === undefined ? path : key && field === axis ? ['matrix', axis] : ['matrix', axis, cell!.get(axis)!];
      position = positionOf(this.#document, this.#lines, at, key);
    }
    this.add({
      line: position?.line ?? null,
      column: position?.column ?? null,
      field,
      text,
      option: fromOption === undefined ? null : this.options.get(fromOption)!,
    });
  }

  add(problem: ScenarioProblem): void {
    // Each cell of a matrix finds the mistakes of the whole file again.
    const identity = JSON.stringify(problem);
    if (this.#seen.has(identity)) return;
    this.#seen.add(identity);
    this.problems.push(problem);
  }

  /** @throws ScenarioError if there are problems */
  settle(): void {
    if (this.problems.length === 0) return;
    const sorted = [...this.problems].sort(
      (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
    );
    throw new ScenarioError(this.source, sorted);
  }
}

function parseYaml(text: string, source: string): { document: Document; lines: LineCounter; root: Fields } {
  const fail = (problem: ScenarioProblem): never => {
    throw new ScenarioError(source, [problem]);
  };
  if (text.length > MAX_FILE_CHARACTERS)
    fail(problemOf(`is longer than ${MAX_FILE_CHARACTERS} characters: it is no scenario`));
  const lines = new LineCounter();
  let document: Document;
  let root: unknown;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
    if (document.errors.length > 0) {
      const problems = document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        const first = error.message.split('\n')[0];
        return {
          line: Math.max(1, line),
          column: Math.max(1, col),
          field: '',
          text: `is no valid YAML: ${first}`,
          option: null,
        };
      });
      throw new ScenarioError(source, problems);
    }
    root = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    if (error instanceof ScenarioError) throw error;
    // Too many aliases, or nesting that exhausts the stack.
    return fail(problemOf(`is no valid YAML: ${error instanceof Error ? error.message.split('\n')[0] : 'unreadable'}`));
  }
  if (root === null || root === undefined) fail(problemOf('is empty: `cachelab init` writes one to start from'));
  if (!isMap(root))
    return fail({ ...problemOf('must be a map of fields, such as "title: My workload"'), line: 1, column: 1 });
  if (depthExceeds(root, MAX_DEPTH)) fail(problemOf(`is nested deeper than ${MAX_DEPTH} levels`));
  return { document, lines, root };
}

function depthExceeds(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (limit === 0) return true;
  return Object.values(value).some((item) => depthExceeds(item, limit - 1));
}

/**
 * Stores a value at a dotted field, making maps on the way and spreading out short forms that stand in it.
 * @returns what is in the way, or null
 */
function assign(root: Fields, field: string, value: unknown): string | null {
  const steps = stepsOf(field);
  let parent: unknown = root;
  for (let i = 0; i < steps.length - 1; i++) {
    const step = steps[i];
    if (!isMap(parent) && !Array.isArray(parent)) return `is inside ${steps.slice(0, i).join('.')}, which is no map`;
    const holder = parent as Fields;
    let next = Object.hasOwn(holder, step) ? holder[step] : undefined;
    const path = steps.slice(0, i + 1);
    if (next === undefined || next === null) {
      if (Array.isArray(parent)) return `names entry ${step} of ${steps.slice(0, i).join('.')}, which is not there`;
      next = define(holder, step, {});
    } else if (typeof next !== 'object') {
      const long = expandScalar(path, next);
      if (!isMap(long)) return `is inside ${path.join('.')}, which is no map`;
      next = define(holder, step, long);
    }
    parent = next;
  }
  if (!isMap(parent) && !Array.isArray(parent)) return `is inside ${steps.slice(0, -1).join('.')}, which is no map`;
  const last = steps[steps.length - 1];
  if (Array.isArray(parent) && !(/^\d+$/.test(last) && Number(last) < parent.length)) {
    return `names entry ${last} of ${steps.slice(0, -1).join('.')}, which is not there`;
  }
  define(parent as Fields, last, value);
  return null;
}

/** Plain assignment would reach the prototype under the name "__proto__". */
function define(holder: Fields, name: string, value: unknown): unknown {
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
  return value;
}

function applyOptions(root: Fields, options: readonly string[], reading: Reading): void {
  for (const option of options) {
    const shown = `--set ${quote(option).slice(1, -1)}`;
    const problem = (text: string, field = ''): void => reading.add({ ...problemOf(text, field), option: shown });
    const equals = option.indexOf('=');
    if (equals < 1) {
      problem('must be field=value, such as dataset.keys=1M');
      continue;
    }
    const field = option
      .slice(0, equals)
      .trim()
      .replace(/^matrix\./, '');
    let value: unknown;
    try {
      value = parse(option.slice(equals + 1), { logLevel: 'silent', maxAliasCount: 10 });
    } catch {
      problem('has a value that is no valid YAML: put quotes around it', field);
      continue;
    }
    if (depthExceeds(value, MAX_DEPTH)) {
      problem(`is nested deeper than ${MAX_DEPTH} levels`, field);
      continue;
    }
    reading.options.set(field, shown);
    const matrix = isMap(root['matrix']) ? root['matrix'] : null;
    if (Array.isArray(value) && !LIST_FIELDS.some((pattern) => pattern.test(field)) && field !== 'matrix') {
      if (matrix === null) define(root, 'matrix', {});
      define(root['matrix'] as Fields, field, value);
      continue;
    }
    // One value given by hand overrules the values that a matrix lists, of this field and of those inside it.
    for (const name of Object.keys(matrix ?? {})) {
      if (name === field || name.startsWith(`${field}.`)) delete matrix![name];
    }
    const obstacle = assign(root, field, value);
    if (obstacle !== null) problem(obstacle, field);
  }
}

function typeName(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'number') return Number.isFinite(value) ? `the number ${value}` : 'infinite or no number';
  return typeof value === 'boolean' ? String(value) : 'a text';
}

const EXPECTED: Record<string, string> = {
  object: 'a map of fields',
  record: 'a map of fields',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Fields)[step];
  }
  return value;
}

/** Of the branches of a union, the one that fits best: that whose first issue lies deepest, or is no mere type mismatch. */
function bestBranch(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  const rank = (issues: readonly z.core.$ZodIssue[]): number => {
    const first = issues[0];
    if (first === undefined) return -1;
    const mismatch = first.code === 'invalid_type' || first.code === 'invalid_value';
    return first.path.length * 2 + (mismatch ? 0 : 1);
  };
  return [...branches].sort((a, b) => rank(b) - rank(a))[0] ?? [];
}

/** Words an issue of the schema for the file's author. */
function explain(
  issue: z.core.$ZodIssue,
  base: Path,
  root: Fields,
  report: (path: Path, text: string, key: boolean) => void,
): void {
  const path = [...base, ...(issue.path as Path)];
  const value = valueAt(root, path);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = issue.message.split(NAME_SEPARATOR);
      for (const key of issue.keys) report([...path, key], `is unknown${suggestion(key, known)}`, true);
      return;
    }
    case 'invalid_union': {
      const branches = issue.errors;
      const best = bestBranch(branches);
      // A union with a text of its own says more than its branches, unless a branch got past the type.
      const deeper = best.length > 0 && (best[0].path.length > 0 || best[0].code === 'custom');
      if (deeper) for (const inner of best) explain(inner, path, root, report);
      else if (value === undefined) report(path, `is missing: it ${issue.message}`, false);
      else
        report(
          path,
          `${issue.message}${typeof value === 'string' ? `, not ${quote(value)}` : `; it is ${typeName(value)}`}`,
          false,
        );
      return;
    }
    case 'invalid_type':
      if (value === undefined)
        report(path, `is missing: it must be ${EXPECTED[issue.expected] ?? issue.expected}`, false);
      else report(path, `must be ${EXPECTED[issue.expected] ?? issue.expected}; it is ${typeName(value)}`, false);
      return;
    case 'invalid_value': {
      const known = issue.values.map(String);
      const near = typeof value === 'string' ? nearest(value, known) : null;
      const hint = near === null ? '' : ` (did you mean "${near}"?)`;
      const got =
        typeof value === 'string'
          ? `not ${quote(value)}`
          : value === undefined
            ? 'and is missing'
            : `not ${typeName(value)}`;
      report(path, `must be one of ${known.join(', ')}, ${got}${hint}`, false);
      return;
    }
    case 'too_big':
    case 'too_small': {
      // Only lengths come here: ranges of numbers are checked, and worded, with their units (fields.ts).
      const limit = issue.code === 'too_big' ? `at most ${issue.maximum}` : `at least ${issue.minimum}`;
      const things = { string: ' characters', array: ' entries' }[issue.origin as string];
      // A value of another type has been reported as such.
      if ((issue.origin === 'array') === Array.isArray(value)) {
        report(path, things === undefined ? `must be ${limit}` : `must have ${limit}${things}`, false);
      }
      return;
    }
    default:
      report(path, issue.message.charAt(0).toLowerCase() + issue.message.slice(1), false);
  }
}

/** Reads the matrix's axes. Returns none where they are wrong (and reports why). */
function readAxes(root: Fields, reading: Reading): MatrixAxis[] {
  const parsed = schema.shape.matrix.safeParse(root['matrix'] ?? undefined);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      explain(issue, ['matrix'], root, (path, text, key) => reading.report(path, text, key));
    }
    return [];
  }
  const axes = Object.entries(parsed.data).map(([field, values]) => ({ field, values: values as Scalar[] }));
  let cells = 1;
  for (const axis of axes) {
    cells *= axis.values.length;
    if (/^(name|title|question|kind|matrix|seed|targets)(\.|$)/.test(axis.field)) {
      reading.report(['matrix', axis.field], 'cannot vary within a run', true);
    }
    const repeated = axis.values.find((value, i) => axis.values.indexOf(value) !== i);
    if (repeated !== undefined) reading.report(['matrix', axis.field], `lists ${quote(String(repeated))} twice`);
  }
  if (cells > MAX_CELLS) {
    reading.report(['matrix'], `has ${cells} combinations; at most ${MAX_CELLS} make a run: shorten its lists`, true);
    return [];
  }
  return axes;
}

/** A readable headline from a file's name. */
function titleOf(name: string): string {
  const words = name.replace(/[-_.]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function nameOf(source: string): string {
  const stem = source
    .split(/[\\/]/)
    .at(-1)!
    .replace(/\.(ya?ml|json)$/i, '');
  const clean = stem
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);
  return clean === '' ? 'scenario' : clean;
}

function toScenario(file: ScenarioFile, targets: TargetSpec[], source: string): Scenario {
  const name = file.name ?? nameOf(source);
  const mix = Object.entries(file.mix)
    .filter(([, weight]) => weight !== undefined && weight > 0)
    .map(([operation, weight]) => ({ operation: operation as OperationKind, weight: weight as number }));
  const fanout = file.kind === 'pubsub-fanout' ? (file.fanout ?? schema.shape.fanout.parse({})) : file.fanout;
  return {
    name,
    title: file.title ?? titleOf(name),
    question: file.question,
    kind: file.kind,
    targets,
    dataset: file.dataset,
    popularity: file.popularity,
    mix,
    ttl: file.ttl,
    pipeline: file.pipeline,
    multiKey: file.multiKey,
    connections: file.connections,
    threads: file.threads,
    driver: file.driver,
    memcachedProtocol: file.memcachedProtocol,
    arrival: file.arrival,
    memory: {
      limitBytes: file.memory.limit === 'none' ? 0 : file.memory.limit,
      limitShare: file.memory.limitShare === 'none' ? 0 : file.memory.limitShare,
      policy: file.memory.policy,
      samples: file.memory.samples,
    },
    persistence:
      file.persistence === null
        ? null
        : {
            mode: file.persistence.mode,
            snapshotEveryS: file.persistence.snapshotEvery,
            crash: file.persistence.crash,
          },
    cacheAside: file.cacheAside,
    fanout:
      fanout === null
        ? null
        : {
            subscribers: fanout.subscribers,
            channels: fanout.channels,
            messageBytes: fanout.messageBytes,
            rate: fanout.rate,
            pollIntervalMs: fanout.pollInterval,
          },
    warmUpS: file.warmUp,
    durationS: file.duration,
    operations: file.operations,
    repetitions: file.repetitions,
    seed: file.seed,
    verify: file.verify,
    intervalMs: file.interval,
  };
}

/** Reads one cell: the file's map with the matrix's values put in. @returns null where something is wrong */
function readCell(
  written: Fields,
  source: string,
  env: Record<string, string | undefined>,
  report: (path: Path, text: string, key?: boolean) => void,
): Scenario | null {
  expandShortForms(written, (path, text) => report(path, text));
  const parsed = schema.safeParse(written);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) explain(issue, [], written, report);
    return null;
  }
  const targets: TargetSpec[] = [];
  let wrong = false;
  parsed.data.targets.forEach((target, i) => {
    const outcome = readTarget(target, env, true);
    if ('target' in outcome) targets.push(outcome.target);
    else {
      wrong = true;
      report(outcome.field === '' ? ['targets', i] : ['targets', i, outcome.field], outcome.text);
    }
  });
  if (wrong) return null;
  const scenario = toScenario(parsed.data, targets, source);
  checkCombinations(scenario, written, (path, text) => report(path, text));
  return scenario;
}

/**
 * @param text the file's YAML
 * @param source where it comes from (a built-in's name or a path), for messages and provenance
 * @throws ScenarioError naming every mistake with file, line, column and field
 */
export function readScenario(text: string, source: string, options: ReadOptions = {}): ScenarioPlan {
  const { document, lines, root } = parseYaml(text, source);
  const reading = new Reading(source, document, lines);
  applyOptions(root, options.set ?? [], reading);
  const axes = readAxes(root, reading);
  const base = { ...root };
  delete base['matrix'];
  const total = axes.reduce((product, axis) => product * axis.values.length, 1);
  const cells: ScenarioPlan['cells'] = [];
  for (let cell = 0; cell < total; cell++) {
    const written = structuredClone(base);
    const axis: Record<string, Scalar> = {};
    const places = new Map<string, number>();
    // The last axis varies fastest.
    let rest = cell;
    for (const { field, values } of [...axes].reverse()) {
      places.set(field, rest % values.length);
      rest = Math.floor(rest / values.length);
    }
    for (const { field, values } of axes) {
      define(axis, field, values[places.get(field)!]);
      const obstacle = assign(written, field, values[places.get(field)!]);
      if (obstacle !== null) reading.report(['matrix', field], obstacle, true);
    }
    const scenario = readCell(written, source, options.env ?? {}, (path, problem, key) =>
      reading.report(path, problem, key ?? false, places),
    );
    if (scenario !== null) cells.push({ axis, scenario });
  }
  reading.settle();
  const first = cells[0].scenario;
  return { name: first.name, title: first.title, question: first.question, source, yaml: text, axes, cells };
}

/**
 * Adds a target to every cell of a plan (what --target does).
 * @param given a target, or its short form: a name (embedded-redis, redis, …) or a URL, either with "id=" before it if it shall have a
 *   name of its own
 * @throws ScenarioError when it cannot be understood, or does not go with the scenario
 */
export function addTarget(plan: ScenarioPlan, given: string | TargetSpec): ScenarioPlan {
  const option = '--target';
  const taken = new Set(plan.cells[0].scenario.targets.map((target) => target.id));
  const target = typeof given === 'string' ? targetOfOption(plan, given, taken) : given;
  const problems = new Map<string, ScenarioProblem>();
  const cells = plan.cells.map(({ axis, scenario }) => {
    const extended = { ...scenario, targets: [...scenario.targets, target] };
    checkCombinations(extended, {}, (path, text) => {
      problems.set(text, { ...problemOf(text, path.join('.')), option });
    });
    return { axis, scenario: extended };
  });
  if (problems.size > 0) throw new ScenarioError(plan.source, [...problems.values()]);
  return { ...plan, cells };
}

function targetOfOption(plan: ScenarioPlan, written: string, taken: ReadonlySet<string>): TargetSpec {
  const named = /^([A-Za-z0-9][\w.-]{0,63})=(.+)$/s.exec(written);
  const outcome = readTarget(named?.[2] ?? written, {}, false);
  if (!('target' in outcome))
    throw new ScenarioError(plan.source, [{ ...problemOf(outcome.text), option: '--target' }]);
  // A name that somebody chose says more than the address, which stands in the report anyway.
  if (named !== null) return { ...outcome.target, id: named[1], label: named[1] };
  // A second remote server of one engine is nothing unusual: it gets a number.
  let id = outcome.target.id;
  for (let i = 2; taken.has(id); i++) id = `${outcome.target.id}-${i}`;
  return { ...outcome.target, id };
}

/** A crash on purpose takes about so long: two seconds of writing, a start, and reading back. */
const CRASH_S = 4;

/** How long a plan's runs last at least, in seconds, for so many targets: warm-up, measured phase and crash, without start and preload. */
export function plannedSeconds(plan: ScenarioPlan, targets: number): number {
  return plan.cells.reduce(
    (sum, { scenario }) =>
      sum +
      targets *
        scenario.repetitions *
        (scenario.warmUpS + scenario.durationS + (scenario.persistence?.crash === true ? CRASH_S : 0)),
    0,
  );
}

/** The JSON Schema of scenario files, for editors. */
export function scenarioJsonSchema(): Record<string, unknown> {
  const json = z.toJSONSchema(scenarioFile(true), { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>;
  return { ...json, title: 'cachelab scenario' };
}
