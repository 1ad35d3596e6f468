/** Figures out of a scenario's result that several views share: medians over repetitions, names, the memory ledger's steps. */
import type { CellResult, OperationLatency, RunResult, ScenarioResult } from '../harness/result.ts';
import { printable, UNKNOWN } from './format.ts';

/** Runs of a cell that may be used for figures: all but failed ones; inconclusive ones are shown and marked. */
export function usableRuns(cell: CellResult): RunResult[] {
  return cell.runs.filter((run) => run.status !== 'failed');
}

/** The middle run's value of a figure over the usable repetitions; null where none has it. */
export function medianOf(cell: CellResult, pick: (run: RunResult) => number | null | undefined): number | null {
  const values = usableRuns(cell)
    .map(pick)
    .filter((value): value is number => typeof value === 'number' && Number.isFinite(value))
    .sort((a, b) => a - b);
  if (values.length === 0) return null;
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}

/** The latency record of a kind of operation; "all" falls back to the only or first kind there is. */
export function latencyOf(run: RunResult, kind: string): OperationLatency | undefined {
  return run.latency.find((entry) => entry.kind === kind) ?? (kind === 'all' ? run.latency[0] : undefined);
}

/** Name of a target by its id. */
export function targetLabel(scenario: ScenarioResult, id: string): string {
  return printable(scenario.targets.find((target) => target.id === id)?.label ?? id);
}

/** "memory.limitShare" is shown as it stands in the file; values as text. */
export function axisText(value: string | number | boolean | undefined): string {
  return value === undefined ? UNKNOWN : printable(String(value));
}

/** What kind of latency is the scenario's main one. */
export function mainKind(scenario: ScenarioResult): string {
  return scenario.kind === 'pubsub-fanout' ? 'delivery' : 'all';
}

/** Difference of two figures, null where one is unknown. */
function difference(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a - b;
}

/** The ledger of one run in steps that add up to the resident set. */
export function ledgerSteps(run: RunResult): { label: string; bytes: number | null }[] {
  const ledger = run.memory;
  if (ledger === null) return [];
  return [
    { label: 'payload (keys and values)', bytes: ledger.payload },
    { label: 'overhead (structures, headers)', bytes: difference(ledger.used, ledger.payload) },
    { label: 'internal fragmentation', bytes: difference(ledger.allocated, ledger.used) },
    { label: 'external fragmentation', bytes: difference(ledger.active, ledger.allocated) },
    { label: 'process and retained pages', bytes: difference(ledger.rss, ledger.active) },
  ];
}

/** Whether a run has latencies of this kind: an empty histogram has no percentiles. */
export function hasSamples(run: RunResult, kind: string, which: 'response' | 'service'): boolean {
  const entry = latencyOf(run, kind);
  return entry !== undefined && entry[which].count > 0;
}
