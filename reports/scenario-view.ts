/** One scenario's result as paragraphs, tables and charts. */
import type { CellResult, OperationLatency, RunResult, ScenarioResult, TargetResult } from '../harness/result.ts';
import { formatBytes, formatLatency, formatNumber, formatRate, formatShare, printable, UNKNOWN } from './format.ts';
import { persistenceTable } from './persistence-view.ts';
import { buildCharts } from './scenario-charts.ts';
import {
  axisText,
  hasSamples,
  latencyOf,
  ledgerSteps,
  mainKind,
  medianOf,
  targetLabel,
  usableRuns,
} from './scenario-figures.ts';
import type { ScenarioView, Table, ValidityItem } from './view-model.ts';

/** Builds the view of one scenario; `index` makes ids unique within a document. */
export function buildScenarioView(scenario: ScenarioResult, index: number): ScenarioView {
  const id = `s${index + 1}`;
  const tables = [
    summaryTable(id, scenario),
    latencyTable(id, scenario, 'response'),
    latencyTable(id, scenario, 'service'),
    cacheAsideTable(id, scenario),
    fanoutTable(id, scenario),
    persistenceTable(id, scenario),
    ledgerTable(id, scenario),
    repetitionsTable(id, scenario),
  ].filter((table): table is Table => table !== null && table.rows.length > 0);
  const built = buildCharts(id, scenario);
  const { items, summary } = validity(scenario);
  return {
    id,
    title: printable(scenario.title),
    question: printable(scenario.question),
    headline: printable(scenario.verdict.headline),
    answer: scenario.verdict.text.split('\n\n').map(printable),
    confidence: scenario.verdict.confidence,
    caveats: scenario.verdict.caveats.map(printable),
    notes: [
      ...scenario.skippedTargets.map(
        (target) => `Left out: ${printable(target.label)} (${printable(target.reason).replace(/\.$/, '')}).`,
      ),
      ...scenario.targets
        .filter((target) => target.remark !== null)
        .map((target) => `${printable(target.label)}: ${printable(target.remark!).replace(/\.$/, '')}.`),
      ...scenario.notes.map(printable),
    ],
    tables: [...tables, ...built.tables],
    charts: built.charts,
    validitySummary: summary,
    validity: items,
    provenance: provenance(scenario),
    appendices: appendices(scenario),
  };
}

function statusOf(cell: CellResult): string {
  if (cell.runs.length === 0) return 'not run';
  const failed = cell.runs.filter((run) => run.status === 'failed').length;
  const doubtful = cell.runs.filter((run) => run.status === 'inconclusive').length;
  if (failed === cell.runs.length) return 'FAILED';
  if (failed > 0) return `${failed} of ${cell.runs.length} failed`;
  if (doubtful > 0)
    return doubtful === cell.runs.length ? 'INCONCLUSIVE' : `${doubtful} of ${cell.runs.length} inconclusive`;
  return 'ok';
}

const left = (label: string) => ({ label, align: 'left' as const });
const right = (label: string) => ({ label, align: 'right' as const });

function axisColumns(scenario: ScenarioResult) {
  return scenario.axes.map((axis) => left(printable(axis.field)));
}

function axisCells(scenario: ScenarioResult, cell: CellResult): string[] {
  return scenario.axes.map((axis) => axisText(cell.axis[axis.field]));
}

function summaryTable(id: string, scenario: ScenarioResult): Table {
  const kind = mainKind(scenario);
  const fanout = scenario.kind === 'pubsub-fanout';
  return {
    id: `${id}-summary`,
    title: 'Summary',
    note: 'Medians over the repetitions. Response time counts from when an operation was due (open loop) or handed over (closed loop); service time from when it was written.',
    columns: [
      ...axisColumns(scenario),
      left('target'),
      right(fanout ? 'deliveries' : 'throughput'),
      right('p50'),
      right('p99'),
      right('p99.9'),
      ...(fanout ? [right('delivered')] : [right('service p99'), right('hit ratio')]),
      right('server CPU/op'),
      right('resident'),
      left('validity'),
    ],
    rows: scenario.cells.map((cell) => [
      ...axisCells(scenario, cell),
      targetLabel(scenario, cell.targetId),
      formatRate(medianOf(cell, (run) => run.achievedRate)),
      formatLatency(medianOf(cell, (run) => latencyOf(run, kind)?.response.p50)),
      formatLatency(medianOf(cell, (run) => latencyOf(run, kind)?.response.p99)),
      formatLatency(medianOf(cell, (run) => latencyOf(run, kind)?.response.p999)),
      ...(fanout
        ? [
            formatShare(
              medianOf(cell, (run) =>
                run.fanout && run.fanout.expectedDeliveries > 0
                  ? run.fanout.deliveries / run.fanout.expectedDeliveries
                  : null,
              ),
            ),
          ]
        : [
            formatLatency(medianOf(cell, (run) => latencyOf(run, kind)?.service.p99)),
            formatShare(medianOf(cell, (run) => run.hitRatio)),
          ]),
      formatLatency(medianOf(cell, (run) => run.server?.cpuUsPerOperation)),
      formatBytes(medianOf(cell, (run) => run.memory?.rss ?? run.server?.rssBytes)),
      statusOf(cell),
    ]),
  };
}

function latencyTable(id: string, scenario: ScenarioResult, which: 'response' | 'service'): Table {
  const rows: string[][] = [];
  for (const cell of scenario.cells) {
    const kinds = new Set(usableRuns(cell).flatMap((run) => run.latency.map((entry) => entry.kind)));
    for (const kind of kinds) {
      const figure = (pick: (summary: OperationLatency['response']) => number) =>
        formatLatency(
          medianOf(cell, (run) => (hasSamples(run, kind, which) ? pick(latencyOf(run, kind)![which]) : null)),
        );
      rows.push([
        ...axisCells(scenario, cell),
        targetLabel(scenario, cell.targetId),
        printable(kind),
        formatNumber(medianOf(cell, (run) => latencyOf(run, kind)?.count)),
        figure((s) => s.p50),
        figure((s) => s.p90),
        figure((s) => s.p99),
        figure((s) => s.p999),
        figure((s) => s.p9999),
        figure((s) => s.max),
      ]);
    }
  }
  const open = scenario.cells.some((cell) => cell.runs.some((run) => run.arrival === 'open'));
  return {
    id: `${id}-${which}`,
    title: which === 'response' ? 'Response time by operation' : 'Service time by operation',
    note:
      which === 'response'
        ? open
          ? 'From the intended send time: waiting in the client’s queue counts, so a stalled server cannot hide the operations that were due meanwhile.'
          : 'Closed loop: a connection sends its next operation only after the last was answered, so a slow server is asked less; take these as service under saturation, not as what users at a fixed rate would see.'
        : 'From the first byte written to the last byte of the reply.',
    columns: [
      ...axisColumns(scenario),
      left('target'),
      left('operation'),
      right('count'),
      right('p50'),
      right('p90'),
      right('p99'),
      right('p99.9'),
      right('p99.99'),
      right('max'),
    ],
    rows,
  };
}

function cacheAsideTable(id: string, scenario: ScenarioResult): Table | null {
  const cells = scenario.cells.filter((cell) => usableRuns(cell).some((run) => run.cacheAside !== null));
  if (cells.length === 0) return null;
  return {
    id: `${id}-cache-aside`,
    title: 'What the cache’s user sees',
    note: 'A miss costs the modelled origin latency on top of the lookup; the origin’s load is what misses cause.',
    columns: [
      ...axisColumns(scenario),
      left('target'),
      right('hit ratio'),
      right('origin load'),
      right('user mean'),
      right('user p50'),
      right('user p99'),
      right('user p99.9'),
    ],
    rows: cells.map((cell) => [
      ...axisCells(scenario, cell),
      targetLabel(scenario, cell.targetId),
      formatShare(medianOf(cell, (run) => run.hitRatio)),
      formatRate(medianOf(cell, (run) => run.cacheAside?.originRate)),
      formatLatency(medianOf(cell, (run) => run.cacheAside?.user.mean)),
      formatLatency(medianOf(cell, (run) => run.cacheAside?.user.p50)),
      formatLatency(medianOf(cell, (run) => run.cacheAside?.user.p99)),
      formatLatency(medianOf(cell, (run) => run.cacheAside?.user.p999)),
    ]),
  };
}

function fanoutTable(id: string, scenario: ScenarioResult): Table | null {
  const cells = scenario.cells.filter((cell) => usableRuns(cell).some((run) => run.fanout !== null));
  if (cells.length === 0) return null;
  return {
    id: `${id}-fanout`,
    title: 'Delivery',
    note: 'Delivery latency runs from the publish (or, for polling, the store) to each receipt. A polling reader that misses a version between two polls never sees it.',
    columns: [
      ...axisColumns(scenario),
      left('target'),
      left('how'),
      right('subscribers'),
      right('published'),
      right('deliveries'),
      right('lost or missed'),
    ],
    rows: cells.map((cell) => [
      ...axisCells(scenario, cell),
      targetLabel(scenario, cell.targetId),
      usableRuns(cell).some((run) => run.fanout?.polling) ? 'polling (substitute)' : 'pub/sub',
      formatNumber(medianOf(cell, (run) => run.fanout?.subscribers)),
      formatNumber(medianOf(cell, (run) => run.fanout?.published)),
      formatNumber(medianOf(cell, (run) => run.fanout?.deliveries)),
      formatNumber(
        medianOf(cell, (run) => (run.fanout ? run.fanout.expectedDeliveries - run.fanout.deliveries : null)),
      ),
    ]),
  };
}

function ledgerTable(id: string, scenario: ScenarioResult): Table | null {
  const cells = scenario.cells.filter((cell) => usableRuns(cell).some((run) => run.memory !== null));
  if (cells.length === 0) return null;
  const step = (cell: CellResult, index: number) =>
    formatBytes(medianOf(cell, (run) => ledgerSteps(run)[index]?.bytes));
  return {
    id: `${id}-ledger`,
    title: 'Memory ledger',
    note: 'After the run. Payload + overhead = what the server counts as used; + internal fragmentation (rounding to size classes or chunks) = allocated; + external fragmentation (free regions in pages that are held) = active; the rest of the resident set is the process itself and pages not yet given back. A negative step means that pages counted as held were never touched.',
    columns: [
      ...axisColumns(scenario),
      left('target'),
      right('keys'),
      right('payload'),
      right('overhead'),
      right('internal'),
      right('external'),
      right('process'),
      right('resident'),
      right('limit'),
      right('evictions'),
    ],
    rows: cells.map((cell) => [
      ...axisCells(scenario, cell),
      targetLabel(scenario, cell.targetId),
      formatNumber(medianOf(cell, (run) => run.memory?.keys)),
      `${usableRuns(cell).some((run) => run.memory?.payloadIs === 'estimated') ? '~' : ''}${step(cell, 0)}`,
      step(cell, 1),
      step(cell, 2),
      step(cell, 3),
      step(cell, 4),
      formatBytes(medianOf(cell, (run) => run.memory?.rss)),
      limitText(medianOf(cell, (run) => run.memory?.limit)),
      formatNumber(medianOf(cell, (run) => run.memory?.evictions)),
    ]),
  };
}

function limitText(limit: number | null): string {
  return limit === 0 ? 'none' : formatBytes(limit);
}

function repetitionsTable(id: string, scenario: ScenarioResult): Table | null {
  if (!scenario.cells.some((cell) => cell.runs.length > 1)) return null;
  const kind = mainKind(scenario);
  return {
    id: `${id}-repetitions`,
    title: 'Every repetition',
    note: 'So that the spread can be seen. Each repetition has its own seed, derived from the scenario’s.',
    columns: [
      ...axisColumns(scenario),
      left('target'),
      right('repetition'),
      left('status'),
      right('throughput'),
      right('p50'),
      right('p99'),
      right('p99.9'),
      right('hit ratio'),
      right('errors'),
    ],
    rows: scenario.cells.flatMap((cell) =>
      cell.runs.map((run) => [
        ...axisCells(scenario, cell),
        targetLabel(scenario, cell.targetId),
        String(run.repetition),
        run.status,
        formatRate(run.achievedRate),
        formatLatency(latencyOf(run, kind)?.response.p50 ?? null),
        formatLatency(latencyOf(run, kind)?.response.p99 ?? null),
        formatLatency(latencyOf(run, kind)?.response.p999 ?? null),
        formatShare(run.hitRatio),
        formatNumber(run.errors),
      ]),
    ),
  };
}

function validity(scenario: ScenarioResult): { items: ValidityItem[]; summary: string } {
  const items: ValidityItem[] = [];
  let runs = 0;
  let good = 0;
  for (const cell of scenario.cells) {
    for (const run of cell.runs) {
      runs++;
      if (run.status === 'ok') good++;
      const where = [
        targetLabel(scenario, cell.targetId),
        ...scenario.axes.map((axis) => `${axis.field} ${axisText(cell.axis[axis.field])}`),
        `repetition ${run.repetition}`,
      ].join(', ');
      items.push(...runItems(run, where));
    }
  }
  const summary =
    runs === 0
      ? 'No run was made.'
      : `${good} of ${runs} runs passed every check${good === runs ? '.' : '; the others are listed below and must not be relied on, although tables and charts show them.'}`;
  return { items, summary };
}

function runItems(run: RunResult, where: string): ValidityItem[] {
  const items: ValidityItem[] = [];
  if (run.failure !== null) items.push({ status: 'failed', where, detail: printable(run.failure) });
  // What was interrupted has no figures that could be judged.
  const interrupted = run.failure?.startsWith('interrupted') === true;
  for (const guard of run.validity) {
    if (!guard.passed && !interrupted) {
      const status = run.status === 'failed' ? 'failed' : 'inconclusive';
      items.push({ status, where, detail: `${printable(guard.name)}: ${printable(guard.detail)}` });
    }
  }
  for (const [text, count] of Object.entries(run.errorTexts)) {
    items.push({ status: run.status, where, detail: `${count} × ${printable(text)}` });
  }
  return items;
}

function provenance(scenario: ScenarioResult): [string, string][] {
  const rows: [string, string][] = [['Scenario', printable(scenario.source)]];
  rows.push(['Seed', printable(String(scenario.settings['seed'] ?? UNKNOWN))]);
  for (const target of scenario.targets) rows.push([printable(target.label), targetText(target)]);
  return rows;
}

function targetText(target: TargetResult): string {
  const parts = [`${target.kind} ${target.engine}`, `version ${target.version ?? 'unknown'}`, `at ${target.address}`];
  if (target.keysBefore !== null) parts.push(`${target.keysBefore} keys before the run`);
  if (target.commandLine !== null) parts.push(`started as: ${target.commandLine.join(' ')}`);
  return printable(parts.join('; '));
}

/** printable, but lines stay lines. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

function appendices(scenario: ScenarioResult): { title: string; text: string }[] {
  const list = [{ title: `Scenario file (${printable(scenario.source)})`, text: printableLines(scenario.yaml) }];
  list.push({ title: 'Settings of the first cell', text: printableLines(JSON.stringify(scenario.settings, null, 2)) });
  for (const target of scenario.targets) {
    const lines = Object.entries(target.configuration).map(([name, value]) => printable(`${name} ${value}`));
    if (lines.length > 0) list.push({ title: `Configuration of ${printable(target.label)}`, text: lines.join('\n') });
  }
  return list;
}
