/**
 * The charts of a scenario. Which ones there are follows from its axes: without any, targets are compared side by side; with some, the
 * longest axis becomes x, each target a line, and the other axes' combinations a chart each.
 */
import type { CellResult, ScenarioResult } from '../harness/result.ts';
import { formatBytes, formatLatency, formatNumber, formatRate, formatShare, printable } from './format.ts';
import { isAboutPersistence, persistenceCourses } from './persistence-view.ts';
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
import type { Chart, ChartSeries, ChartUnit, Table } from './view-model.ts';

/** Charts beyond this number would bury the reader: the tables still hold everything. */
const MAX_FACETS = 12;
/** Percentile curves of at most so many cells. */
const MAX_CURVES = 8;

interface Metric {
  id: string;
  title: string;
  unit: ChartUnit;
  yLabel: string;
  logY: boolean;
  /** What a higher value means, for the description. */
  better: 'higher' | 'lower';
  value: (cell: CellResult) => number | null;
}

interface Built {
  charts: Chart[];
  tables: Table[];
}

/** Builds all charts of a scenario, and the tables behind those whose numbers stand in no other table. */
export function buildCharts(id: string, scenario: ScenarioResult): Built {
  const built: Built = { charts: [], tables: [] };
  if (!scenario.cells.some((cell) => usableRuns(cell).length > 0)) return built;
  const facets = planFacets(scenario);
  for (const metric of inOrderOfInterest(scenario, metricsOf(scenario))) {
    if (!scenario.cells.some((cell) => metric.value(cell) !== null)) continue;
    // A data set that fits hits always: a chart of straight lines tells nothing.
    if (metric.id === 'hit-ratio' && scenario.cells.every((cell) => (metric.value(cell) ?? 1) === 1)) continue;
    if (facets === null) addTargetBars(built, id, scenario, metric);
    else addFacets(built, id, scenario, metric, facets);
  }
  const courses = persistenceCourses(id, scenario);
  built.charts.push(...courses.charts);
  built.tables.push(...courses.tables);
  if (facets === null) {
    addPercentileCurves(built, id, scenario);
    addLedgerBars(built, id, scenario);
    addTimelines(built, id, scenario);
  }
  return built;
}

/** Where memory or popularity vary, the hit ratio is what the reader came for; of a fan-out at a fixed rate, the latency. */
function inOrderOfInterest(scenario: ScenarioResult, metrics: Metric[]): Metric[] {
  const aboutHits = scenario.axes.some((axis) => /^(memory|popularity|ttl)\b/.test(axis.field));
  const fanout = scenario.kind === 'pubsub-fanout';
  const rank = (metric: Metric) => {
    if (aboutHits && metric.id === 'hit-ratio') return 0;
    return fanout && metric.id === 'throughput' ? 2 : 1;
  };
  return metrics.sort((a, b) => rank(a) - rank(b));
}

function metricsOf(scenario: ScenarioResult): Metric[] {
  const kind = mainKind(scenario);
  const fanout = scenario.kind === 'pubsub-fanout';
  const latency = (id: string, title: string, pick: 'p50' | 'p99' | 'p999'): Metric => ({
    id,
    title,
    unit: 'latency',
    yLabel: fanout ? 'delivery latency' : 'response time',
    logY: true,
    better: 'lower',
    value: (cell) =>
      medianOf(cell, (run) => (hasSamples(run, kind, 'response') ? latencyOf(run, kind)!.response[pick] : null)),
  });
  const metrics: Metric[] = [
    {
      id: 'throughput',
      title: fanout ? 'Deliveries per second' : 'Throughput',
      unit: 'rate',
      yLabel: fanout ? 'deliveries per second' : 'operations per second',
      logY: false,
      better: 'higher',
      value: (cell) => medianOf(cell, (run) => run.achievedRate),
    },
    {
      id: 'hit-ratio',
      title: 'Hit ratio',
      unit: 'share',
      yLabel: 'hits / gets',
      logY: false,
      better: 'higher',
      value: (cell) => medianOf(cell, (run) => run.hitRatio),
    },
    latency('p50', fanout ? 'Median delivery latency' : 'Median response time', 'p50'),
    latency('p99', fanout ? '99th percentile of delivery latency' : '99th percentile of response time', 'p99'),
    {
      id: 'cpu',
      title: 'Server CPU per operation',
      unit: 'latency',
      yLabel: 'CPU time per operation',
      logY: false,
      better: 'lower',
      value: (cell) => medianOf(cell, (run) => run.server?.cpuUsPerOperation),
    },
    {
      id: 'bytes-per-key',
      title: 'Memory per key beyond its payload',
      unit: 'bytes',
      yLabel: 'bytes per key',
      logY: false,
      better: 'lower',
      value: (cell) =>
        medianOf(cell, (run) => {
          const ledger = run.memory;
          if (!ledger?.keys || ledger.payload === null || ledger.allocated === null) return null;
          return (ledger.allocated - ledger.payload) / ledger.keys;
        }),
    },
  ];
  if (isAboutPersistence(scenario))
    return aboutPersistence(metrics, latency('p999', '99.9th percentile of response time', 'p999'));
  return fanout ? metrics.filter((metric) => metric.id !== 'hit-ratio' && metric.id !== 'bytes-per-key') : metrics;
}

/** Where files are the question, their costs stand in place of what they do not change. */
function aboutPersistence(metrics: Metric[], tail: Metric): Metric[] {
  const kept = metrics.filter((metric) => metric.id === 'throughput' || metric.id === 'cpu');
  return [
    kept[0]!,
    tail,
    ...kept.slice(1),
    {
      id: 'recovery',
      title: 'Recovery after a crash',
      unit: 'seconds',
      yLabel: 'seconds until the first answer',
      logY: false,
      better: 'lower',
      value: (cell) => medianOf(cell, (run) => run.persistence?.crash?.recoveryS),
    },
    {
      id: 'lost',
      title: 'Acknowledged writes lost in a crash',
      unit: 'share',
      yLabel: 'share of the writes just before it',
      logY: false,
      better: 'lower',
      value: (cell) =>
        medianOf(cell, ({ persistence }) => {
          const crash = persistence?.crash;
          return crash && crash.lost !== null && crash.acknowledged > 0 ? crash.lost / crash.acknowledged : null;
        }),
    },
  ];
}

/** Text of a value in its unit. */
export function unitText(value: number | null, unit: ChartUnit): string {
  switch (unit) {
    case 'latency':
      return formatLatency(value);
    case 'bytes':
      return formatBytes(value);
    case 'rate':
      return formatRate(value);
    case 'share':
      return formatShare(value);
    case 'seconds':
      return value === null ? formatNumber(null) : `${formatNumber(value)} s`;
    default:
      return formatNumber(value);
  }
}

interface FacetPlan {
  xField: string;
  xValues: (string | number | boolean)[];
  /** Combinations of the other axes. */
  others: Record<string, string | number | boolean>[];
}

function planFacets(scenario: ScenarioResult): FacetPlan | null {
  const axes = scenario.axes.filter((axis) => axis.values.length > 1);
  if (axes.length === 0) return null;
  const x = axes.reduce((best, axis) => (axis.values.length > best.values.length ? axis : best));
  let others: Record<string, string | number | boolean>[] = [{}];
  for (const axis of axes) {
    if (axis === x) continue;
    others = others.flatMap((base) => axis.values.map((value) => ({ ...base, [axis.field]: value })));
  }
  return { xField: x.field, xValues: x.values, others };
}

function seriesStyle(scenario: ScenarioResult, targetId: string): { color: number; dashed: boolean } {
  const index = scenario.targets.findIndex((target) => target.id === targetId);
  return { color: Math.max(0, index), dashed: scenario.targets[index]?.kind === 'embedded' };
}

function addTargetBars(built: Built, id: string, scenario: ScenarioResult, metric: Metric): void {
  const cells = scenario.cells.filter((cell) => metric.value(cell) !== null);
  const categories = cells.map((cell) => targetLabel(scenario, cell.targetId));
  const chartId = `${id}-${metric.id}`;
  built.charts.push({
    id: chartId,
    group: 'Side by side',
    title: metric.title,
    description: `${metric.title} by target; ${metric.better} is better. ${cells.map((cell, i) => `${categories[i]}: ${unitText(metric.value(cell), metric.unit)}`).join('; ')}.`,
    kind: 'bar',
    categories,
    xLabel: 'target',
    xUnit: 'text',
    yLabel: metric.yLabel,
    yUnit: metric.unit,
    logX: false,
    logY: false,
    series: cells.map((cell, i) => ({
      label: categories[i]!,
      ...seriesStyle(scenario, cell.targetId),
      points: [[i, metric.value(cell)]],
    })),
    table: `${chartId}-data`,
  });
  built.tables.push({
    id: `${chartId}-data`,
    title: metric.title,
    note: '',
    columns: [
      { label: 'target', align: 'left' },
      { label: metric.yLabel, align: 'right' },
    ],
    rows: cells.map((cell, i) => [categories[i]!, unitText(metric.value(cell), metric.unit)]),
  });
}

function addFacets(built: Built, id: string, scenario: ScenarioResult, metric: Metric, plan: FacetPlan): void {
  const numeric = plan.xValues.map(numericAxisValue);
  const isNumeric = numeric.every((value) => value !== null);
  plan.others.slice(0, MAX_FACETS).forEach((other, facet) => {
    const chartId = `${id}-${metric.id}-${facet + 1}`;
    const where = Object.entries(other)
      .map(([field, value]) => `${printable(field)} ${axisText(value)}`)
      .join(', ');
    const series: ChartSeries[] = [];
    for (const target of scenario.targets) {
      const points: [number, number | null][] = plan.xValues.map((x, i) => {
        const cell = findCell(scenario, target.id, { ...other, [plan.xField]: x });
        return [isNumeric ? numeric[i]! : i, cell === undefined ? null : metric.value(cell)];
      });
      if (points.some(([, y]) => y !== null)) {
        if (isNumeric) points.sort((a, b) => a[0] - b[0]);
        series.push({ label: printable(target.label), ...seriesStyle(scenario, target.id), points });
      }
    }
    if (series.length === 0) return;
    const title = where === '' ? metric.title : `${metric.title} (${where})`;
    const xs = isNumeric ? (numeric as number[]) : [];
    const xUnit = isNumeric ? axisUnit(plan.xField) : 'text';
    built.charts.push({
      id: chartId,
      group: metric.title,
      title,
      description: `${title} over ${printable(plan.xField)}, a line for each target; ${metric.better} is better.`,
      kind: isNumeric ? 'line' : 'bar',
      categories: isNumeric ? null : plan.xValues.map(axisText),
      xLabel: printable(plan.xField),
      xUnit,
      yLabel: metric.yLabel,
      yUnit: metric.unit,
      logX: isNumeric && Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) >= 20,
      logY: metric.logY && isNumeric,
      series,
      table: `${chartId}-data`,
    });
    built.tables.push({
      id: `${chartId}-data`,
      title,
      note: '',
      columns: [
        { label: printable(plan.xField), align: isNumeric ? 'right' : 'left' },
        ...series.map((line) => ({ label: line.label, align: 'right' as const })),
      ],
      rows: plan.xValues.map((x) => [
        axisText(x),
        ...series.map((line) => {
          const target = scenario.targets.find((candidate) => printable(candidate.label) === line.label);
          const cell = target && findCell(scenario, target.id, { ...other, [plan.xField]: x });
          return unitText(cell ? metric.value(cell) : null, metric.unit);
        }),
      ]),
    });
  });
}

function findCell(
  scenario: ScenarioResult,
  targetId: string,
  axis: Record<string, string | number | boolean>,
): CellResult | undefined {
  return scenario.cells.find(
    (cell) => cell.targetId === targetId && Object.entries(axis).every(([field, value]) => cell.axis[field] === value),
  );
}

const SIZE_FACTORS: Record<string, number> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** "512 KiB" → 524288, "50%" → 0.5, 0.99 → 0.99; null for words. */
export function numericAxisValue(value: string | number | boolean): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return null;
  const match = /^\s*(-?\d+(?:\.\d+)?)\s*(%|[a-z]*)\s*$/i.exec(value);
  if (!match) return null;
  const unit = match[2]!.toLowerCase();
  if (unit === '%') return Number(match[1]) / 100;
  const factor = SIZE_FACTORS[unit];
  return factor === undefined ? null : Number(match[1]) * factor;
}

function axisUnit(field: string): ChartUnit {
  if (/share$/i.test(field)) return 'share';
  return /(bytes|size|limit)/i.test(field) ? 'bytes' : 'number';
}

function addPercentileCurves(built: Built, id: string, scenario: ScenarioResult): void {
  const kind = mainKind(scenario);
  for (const which of ['response', 'service'] as const) {
    const series: ChartSeries[] = [];
    for (const cell of scenario.cells.slice(0, MAX_CURVES)) {
      const run = usableRuns(cell).find((candidate) => hasSamples(candidate, kind, which));
      if (run === undefined) continue;
      // The x axis is 1/(1-p): each step is one nine more, so that the tail gets the room it deserves.
      const points: [number, number | null][] = latencyOf(run, kind)!
        [which].curve.filter(([percentile]) => percentile < 100)
        .map(([percentile, us]) => [1 / (1 - percentile / 100), us]);
      series.push({ label: targetLabel(scenario, cell.targetId), ...seriesStyle(scenario, cell.targetId), points });
    }
    if (series.length === 0) continue;
    const name = mainKind(scenario) === 'delivery' ? 'Delivery' : which === 'response' ? 'Response' : 'Service';
    if (mainKind(scenario) === 'delivery' && which === 'service') continue;
    const chartId = `${id}-curve-${which}`;
    built.charts.push({
      id: chartId,
      group: 'Latency by percentile',
      title: `${name} time by percentile`,
      description: `${name} time over percentiles (first repetition), both on logarithmic scales; lower is better.`,
      kind: 'line',
      categories: null,
      xLabel: 'percentile',
      xUnit: 'percentile',
      yLabel: `${name.toLowerCase()} time`,
      yUnit: 'latency',
      logX: true,
      logY: true,
      series,
      table: `${id}-${which}`,
    });
  }
}

function addLedgerBars(built: Built, id: string, scenario: ScenarioResult): void {
  const cells = scenario.cells.filter((cell) => usableRuns(cell).some((run) => run.memory !== null));
  if (cells.length === 0) return;
  const steps = ledgerSteps(usableRuns(cells[0]!).find((run) => run.memory !== null)!);
  built.charts.push({
    id: `${id}-ledger-chart`,
    group: 'Memory and course',
    title: 'Where the memory goes',
    description:
      'Resident memory of each target in steps: payload, overhead, internal and external fragmentation, process.',
    kind: 'stacked-bar',
    categories: cells.map((cell) => targetLabel(scenario, cell.targetId)),
    xLabel: 'target',
    xUnit: 'text',
    yLabel: 'bytes',
    yUnit: 'bytes',
    logX: false,
    logY: false,
    series: steps.map((step, index) => ({
      label: step.label,
      color: index,
      dashed: false,
      points: cells.map((cell, i) => [
        i,
        medianOf(cell, (run) => {
          const bytes = ledgerSteps(run)[index]?.bytes ?? null;
          return bytes === null ? null : Math.max(0, bytes);
        }),
      ]),
    })),
    table: `${id}-ledger`,
  });
}

function addTimelines(built: Built, id: string, scenario: ScenarioResult): void {
  const runs = scenario.cells
    .slice(0, MAX_CURVES)
    .map((cell) => ({ cell, run: usableRuns(cell)[0] }))
    .filter((entry) => entry.run !== undefined && entry.run.timeline.length > 1);
  if (runs.length === 0) return;
  const rate = (row: { operations: number; t: number }, previous: number) =>
    row.t > previous ? row.operations / (row.t - previous) : null;
  const charts = [
    { id: 'throughput-time', title: 'Throughput over time', unit: 'rate' as const, logY: false },
    { id: 'p99-time', title: '99th percentile over time', unit: 'latency' as const, logY: true },
  ];
  for (const chart of charts) {
    built.charts.push({
      id: `${id}-${chart.id}`,
      group: 'Memory and course',
      title: chart.title,
      description: `${chart.title} (first repetition): a level line means a steady state.`,
      kind: 'line',
      categories: null,
      xLabel: 'time since the start of the measurement',
      xUnit: 'seconds',
      yLabel: chart.unit === 'rate' ? 'operations per second' : 'response time',
      yUnit: chart.unit,
      logX: false,
      logY: chart.logY,
      series: runs.map(({ cell, run }) => ({
        label: targetLabel(scenario, cell.targetId),
        ...seriesStyle(scenario, cell.targetId),
        points: run!.timeline.map((row, i, rows) => [
          row.t,
          chart.unit === 'rate' ? rate(row, i === 0 ? 0 : rows[i - 1]!.t) : row.operations > 0 ? row.p99 : null,
        ]),
      })),
      table: `${id}-timeline`,
    });
  }
  built.tables.push({
    id: `${id}-timeline`,
    title: 'Time series',
    note: 'First repetition of each target, one row an interval.',
    columns: [
      { label: 'target', align: 'left' },
      { label: 't', align: 'right' },
      { label: 'throughput', align: 'right' },
      { label: 'p50', align: 'right' },
      { label: 'p99', align: 'right' },
      { label: 'max', align: 'right' },
      { label: 'hits', align: 'right' },
      { label: 'misses', align: 'right' },
      { label: 'resident', align: 'right' },
      { label: 'server CPU', align: 'right' },
    ],
    rows: runs.flatMap(({ cell, run }) =>
      run!.timeline.map((row, i, rows) => [
        targetLabel(scenario, cell.targetId),
        `${formatNumber(row.t)} s`,
        formatRate(rate(row, i === 0 ? 0 : rows[i - 1]!.t)),
        formatLatency(row.operations > 0 ? row.p50 : null),
        formatLatency(row.operations > 0 ? row.p99 : null),
        formatLatency(row.operations > 0 ? row.max : null),
        formatNumber(row.hits),
        formatNumber(row.misses),
        formatBytes(row.rss),
        row.serverCpu === null ? formatNumber(null) : `${formatNumber(row.serverCpu)} cores`,
      ]),
    ),
  });
}
