/**
 * The result document turned into what a reader sees: sections with paragraphs, tables and charts. Every renderer (terminal, markdown,
 * HTML, PNG) draws this one model, so that no two reports can disagree. A chart always names the table that holds its numbers.
 */
import type { ResultDocument, ScenarioResult } from '../harness/result.ts';
import { formatSeconds, printable } from './format.ts';
import { buildScenarioView } from './scenario-view.ts';

export interface Column {
  label: string;
  align: 'left' | 'right';
}

export interface Table {
  id: string;
  title: string;
  /** How to read it, in a sentence; may be empty. */
  note: string;
  columns: Column[];
  rows: string[][];
  /** Shown on a terminal as well. */
  essential?: boolean;
}

/** Unit of a chart's values: decides ticks and tooltips. */
export type ChartUnit = 'latency' | 'bytes' | 'rate' | 'share' | 'number' | 'percentile' | 'seconds' | 'text';

export interface ChartSeries {
  label: string;
  /** Index into the palette: the same target has the same colour in every chart. */
  color: number;
  /** Dashed: an embedded engine beside a real server of the same kind. */
  dashed: boolean;
  /** [x, y]: x is a number, or an index into `categories` where the chart has them. null leaves a gap. */
  points: [number, number | null][];
}

/** A moment that a chart over time marks by a vertical line, or a span that it shades. */
export interface ChartMark {
  x: number;
  /** Where the span ends; absent for a moment. */
  until?: number;
  /** Index into the palette. */
  color: number;
  text: string;
}

export interface Chart {
  id: string;
  /** Charts of one group answer the same question and stand together under this heading. */
  group: string;
  title: string;
  /** What the chart says, for readers who cannot see it. */
  description: string;
  kind: 'bar' | 'stacked-bar' | 'line';
  categories: string[] | null;
  xLabel: string;
  xUnit: ChartUnit;
  yLabel: string;
  yUnit: ChartUnit;
  logX: boolean;
  logY: boolean;
  /** y begins at zero unless logarithmic. */
  series: ChartSeries[];
  marks?: ChartMark[];
  /** Id of the table with the same numbers. */
  table: string;
}

export interface ValidityItem {
  status: 'ok' | 'inconclusive' | 'failed';
  where: string;
  detail: string;
}

export interface ScenarioView {
  id: string;
  title: string;
  question: string;
  headline: string;
  /** Paragraphs. */
  answer: string[];
  confidence: string;
  caveats: string[];
  notes: string[];
  /** The first one is the summary that a terminal shows. */
  tables: Table[];
  charts: Chart[];
  validitySummary: string;
  validity: ValidityItem[];
  /** Label and value. */
  provenance: [string, string][];
  /** Longer texts behind a fold: the scenario's file, each server's configuration. */
  appendices: { title: string; text: string }[];
}

export interface ReportView {
  title: string;
  subtitle: string;
  /** Set when the run did not end as planned. */
  partial: string | null;
  scenarios: ScenarioView[];
  provenance: [string, string][];
  /** The command to run it again. */
  command: string;
}

/**
 * @param result a document of the present RESULT_VERSION
 * @returns what the renderers draw; all texts are raw (each renderer escapes for its own form) but free of control characters
 */
export function buildReportView(result: ResultDocument): ReportView {
  const names = result.scenarios.map((scenario) => scenario.name).join(', ');
  const ended = result.run.finishedAt === null ? null : Date.parse(result.run.finishedAt);
  const took = ended === null ? null : (ended - Date.parse(result.run.startedAt)) / 1_000;
  const machine = result.machine;
  return {
    title: `cachelab: ${printable(names || 'no scenario')}`,
    subtitle: `${result.run.startedAt.replace('T', ' ').replace(/\..*$/, '')} UTC, ${took === null ? 'not finished' : formatSeconds(took)}, on ${printable(machine.cpuModel)} (${machine.cpus} cores), ${printable(machine.platform)}`,
    partial: result.run.status === 'partial' ? printable(result.run.partialReason ?? 'the run did not finish') : null,
    scenarios: result.scenarios.map((scenario: ScenarioResult, index) => buildScenarioView(scenario, index)),
    provenance: [
      ['Run', result.run.id],
      ['Started', result.run.startedAt],
      ['Finished', result.run.finishedAt ?? 'not finished'],
      ['cachelab', result.run.cachelabVersion],
      ['Machine', `${machine.hostname}, ${machine.cpuModel}, ${machine.cpus} cores`],
      ['Kernel', `${machine.platform} ${machine.kernel}`],
      ['Node.js', `${machine.nodeVersion} (V8 ${machine.v8Version})`],
      [
        'Packages',
        Object.entries(machine.packages)
          .map(([name, version]) => `${name} ${version}`)
          .join(', '),
      ],
    ].map(([label, value]) => [label!, printable(value!)]),
    command: result.run.commandLine.map(shellQuote).join(' '),
  };
}

/** A word as a POSIX shell reads it back. */
export function shellQuote(word: string): string {
  const clean = printable(word);
  return /^[\w@%+=:,./-]+$/.test(clean) ? clean : `'${clean.replaceAll("'", "'\\''")}'`;
}
