/** What a scenario about persistence shows beside the rest: costs and losses as a table, the course of runs with what happened on the way. */
import type { CellResult, PersistenceEvent, RunResult, ScenarioResult, TimelineRow } from '../harness/result.ts';
import { formatBytes, formatLatency, formatNumber, formatRate, formatSeconds, printable, UNKNOWN } from './format.ts';
import { axisText, medianOf, targetLabel, usableRuns } from './scenario-figures.ts';
import type { Chart, ChartMark, ChartSeries, Column, Table } from './view-model.ts';

export const MODE_FIELD = 'persistence.mode';
/** Modes whose course is drawn; there are no more than these. */
const MAX_COURSES = 6;

const EVENT_TEXT: Record<PersistenceEvent['kind'], string> = {
  'snapshot-start': 'snapshot begins',
  'snapshot-end': 'snapshot ends',
  'rewrite-start': 'rewrite begins',
  'rewrite-end': 'rewrite ends',
  fsync: 'fsync under way',
  'write-postponed': 'write waits for fsync',
};

const left = (label: string): Column => ({ label, align: 'left' });
const right = (label: string): Column => ({ label, align: 'right' });
const secondsText = (value: number | null): string => (value === null ? UNKNOWN : formatSeconds(value));

/** Whether a scenario asked anything about files. */
export function isAboutPersistence(scenario: ScenarioResult): boolean {
  return scenario.cells.some((cell) => usableRuns(cell).some((run) => run.persistence));
}

/** Bytes of all files after the run. */
function fileBytes(run: RunResult): number | null {
  return run.persistence ? run.persistence.files.reduce((sum, file) => sum + file.bytes, 0) : null;
}

/** The worst of a figure over the repetitions: a loss that happened once is not averaged away. */
function worstOf(cell: CellResult, pick: (run: RunResult) => number | null | undefined): number | null {
  const values = usableRuns(cell)
    .map(pick)
    .filter((value): value is number => typeof value === 'number');
  return values.length === 0 ? null : Math.max(...values);
}

function lostText(cell: CellResult): string {
  const lost = worstOf(cell, (run) => run.persistence?.crash?.lost);
  const of = worstOf(cell, (run) => run.persistence?.crash?.acknowledged);
  return lost === null ? UNKNOWN : `${formatNumber(lost)} of ${formatNumber(of)}`;
}

/** One row a cell. */
export function persistenceTable(id: string, scenario: ScenarioResult): Table | null {
  if (!isAboutPersistence(scenario)) return null;
  const cells = scenario.cells.filter((cell) => usableRuns(cell).some((run) => run.persistence));
  return {
    id: `${id}-persistence`,
    title: 'What persistence cost, and what it saved',
    note: 'After the measured phase the server was killed (SIGKILL) amid writes, started again and asked for every write it had acknowledged; the worst repetition counts. A kill ends the process, not the machine: what the kernel was given survives, so a loss of power would cost more. Then: snapshots and rewrites that ended in the measured phase, how long one took on average, the longest pause at its start, the most memory copied because data changed meanwhile, and writes to the file that waited for an fsync. The data set was saved before.',
    essential: true,
    columns: [
      ...scenario.axes.map((axis) => left(printable(axis.field))),
      left('target'),
      right('writes lost'),
      right('oldest lost'),
      right('recovery'),
      right('keys back'),
      right('files'),
      right('snapshots'),
      right('rewrites'),
      right('each took'),
      right('pause'),
      right('copied'),
      right('postponed'),
    ],
    rows: cells.map((cell) => [
      ...scenario.axes.map((axis) => axisText(cell.axis[axis.field])),
      targetLabel(scenario, cell.targetId),
      lostText(cell),
      secondsText(worstOf(cell, (run) => run.persistence?.crash?.oldestLostS)),
      secondsText(medianOf(cell, (run) => run.persistence?.crash?.recoveryS)),
      formatNumber(medianOf(cell, (run) => run.persistence?.crash?.keysAfter)),
      formatBytes(medianOf(cell, fileBytes)),
      formatNumber(medianOf(cell, (run) => run.persistence?.snapshots)),
      formatNumber(medianOf(cell, (run) => run.persistence?.rewrites)),
      secondsText(medianOf(cell, (run) => run.persistence?.snapshotS)),
      formatLatency(worstOf(cell, (run) => run.persistence?.pauseUs)),
      formatBytes(worstOf(cell, (run) => run.persistence?.copiedBytes)),
      formatNumber(medianOf(cell, (run) => run.persistence?.delayedFsyncs)),
    ]),
  };
}

interface Course {
  cell: CellResult;
  run: RunResult;
}

interface CourseMetric {
  id: string;
  title: string;
  unit: Chart['yUnit'];
  yLabel: string;
  logY: boolean;
  /** One line or more of a target. */
  lines: { suffix: string; value: (row: TimelineRow, previousT: number) => number | null }[];
}

const COURSE_METRICS: readonly CourseMetric[] = [
  {
    id: 'throughput',
    title: 'Throughput',
    unit: 'rate',
    yLabel: 'operations per second',
    logY: false,
    lines: [{ suffix: '', value: (row, from) => (row.t > from ? row.operations / (row.t - from) : null) }],
  },
  {
    id: 'p999',
    title: '99.9th percentile',
    unit: 'latency',
    yLabel: 'response time',
    logY: true,
    lines: [{ suffix: '', value: (row) => (row.operations > 0 ? row.p999 : null) }],
  },
  {
    id: 'memory',
    title: 'Memory',
    unit: 'bytes',
    yLabel: 'bytes',
    logY: false,
    lines: [
      { suffix: ', resident', value: (row) => row.rss },
      { suffix: ', copied by a snapshot', value: (row) => row.copied ?? null },
    ],
  },
];

/** The course of one run per mode and target: of the last combination of the other axes, which is the heaviest as scenarios list them. */
export function persistenceCourses(id: string, scenario: ScenarioResult): { charts: Chart[]; tables: Table[] } {
  const charts: Chart[] = [];
  const tables: Table[] = [];
  if (!isAboutPersistence(scenario)) return { charts, tables };
  const others = Object.fromEntries(
    scenario.axes.filter((axis) => axis.field !== MODE_FIELD).map((axis) => [axis.field, axis.values.at(-1)]),
  );
  const modes = scenario.axes.find((axis) => axis.field === MODE_FIELD)?.values ?? [undefined];
  modes.slice(0, MAX_COURSES).forEach((mode, index) => {
    const courses = scenario.cells
      .filter(
        (cell) =>
          (mode === undefined || cell.axis[MODE_FIELD] === mode) &&
          Object.entries(others).every(([field, value]) => cell.axis[field] === value),
      )
      .map((cell) => ({ cell, run: usableRuns(cell)[0] }))
      .filter((course): course is Course => course.run !== undefined && course.run.timeline.length > 1);
    // Without anything that happened a course is a level line, which the throughput's bars show already.
    if (!courses.some(({ run }) => (run.persistence?.events.length ?? 0) > 0)) return;
    const where = [...(mode === undefined ? [] : [axisText(mode)]), ...Object.values(others).map(axisText)].join(', ');
    const tableId = `${id}-course-${index + 1}`;
    for (const metric of COURSE_METRICS) charts.push(courseChart(scenario, metric, courses, where, tableId));
    tables.push(courseTable(scenario, courses, where, tableId));
  });
  const events = eventsTable(id, scenario);
  if (events.rows.length > 0) tables.push(events);
  return { charts, tables };
}

function colorOf(scenario: ScenarioResult, targetId: string): number {
  return Math.max(
    0,
    scenario.targets.findIndex((target) => target.id === targetId),
  );
}

const SPAN_TEXT = { 'snapshot-start': 'snapshot', 'rewrite-start': 'rewrite' } as const;
const SPAN_END = { 'snapshot-start': 'snapshot-end', 'rewrite-start': 'rewrite-end' } as const;

/** What happened as marks: a snapshot or rewrite from its beginning to its end, or to the run's. */
function marksOf(run: RunResult, color: number): ChartMark[] {
  const events = run.persistence?.events ?? [];
  return events.flatMap((event, at): ChartMark[] => {
    switch (event.kind) {
      case 'snapshot-start':
      case 'rewrite-start': {
        const end = events.slice(at).find((other) => other.kind === SPAN_END[event.kind as keyof typeof SPAN_END]);
        const until = end?.t ?? Math.max(event.t, run.timeline.at(-1)?.t ?? 0);
        return [{ x: event.t, until, color, text: SPAN_TEXT[event.kind] }];
      }
      case 'fsync':
        return [{ x: event.t, color, text: 'fsync' }];
      case 'write-postponed':
        return [{ x: event.t, color, text: 'write waits' }];
      default:
        return [];
    }
  });
}

function courseChart(
  scenario: ScenarioResult,
  metric: CourseMetric,
  courses: readonly Course[],
  where: string,
  table: string,
): Chart {
  const series = courses.flatMap(({ cell, run }) =>
    metric.lines.map(
      (line, i): ChartSeries => ({
        label: `${targetLabel(scenario, cell.targetId)}${line.suffix}`,
        color: colorOf(scenario, cell.targetId) + i * scenario.targets.length,
        dashed: scenario.targets.find((target) => target.id === cell.targetId)?.kind === 'embedded',
        points: run.timeline.map((row, at, rows) => [row.t, line.value(row, at === 0 ? 0 : rows[at - 1]!.t)]),
      }),
    ),
  );
  const marks = courses
    .flatMap(({ cell, run }) => marksOf(run, colorOf(scenario, cell.targetId)))
    .sort((a, b) => a.x - b.x);
  return {
    id: `${table}-${metric.id}`,
    group: `Course with ${where}`,
    title: `${metric.title} (${where})`,
    description: `${metric.title} over time (first repetition), shaded while a snapshot or rewrite ran, with vertical lines where an fsync was seen; each target's in its colour.`,
    kind: 'line',
    categories: null,
    xLabel: 'time since the start of the measurement',
    xUnit: 'seconds',
    yLabel: metric.yLabel,
    yUnit: metric.unit,
    logX: false,
    logY: metric.logY,
    series: series.filter((line) => line.points.some(([, y]) => y !== null)),
    marks,
    table,
  };
}

function courseTable(scenario: ScenarioResult, courses: readonly Course[], where: string, id: string): Table {
  return {
    id,
    title: `Time series (${where})`,
    note: 'First repetition of each target. What is copied comes on top of what the original’s process shows as resident, since its snapshots are a process of their own; the embedded engine maps the pages of a snapshot twice, so that some count twice.',
    columns: [
      left('target'),
      right('t'),
      right('throughput'),
      right('p99.9'),
      right('resident'),
      right('copied'),
      left('seen'),
    ],
    rows: courses.flatMap(({ cell, run }) =>
      run.timeline.map((row, at, rows) => {
        const from = at === 0 ? 0 : rows[at - 1]!.t;
        const seen = (run.persistence?.events ?? []).filter((event) => event.t > from && event.t <= row.t);
        return [
          targetLabel(scenario, cell.targetId),
          `${formatNumber(row.t)} s`,
          formatRate(row.t > from ? row.operations / (row.t - from) : null),
          formatLatency(row.operations > 0 ? row.p999 : null),
          formatBytes(row.rss),
          formatBytes(row.copied ?? null),
          seen.map((event) => EVENT_TEXT[event.kind]).join(', '),
        ];
      }),
    ),
  };
}

function eventsTable(id: string, scenario: ScenarioResult): Table {
  return {
    id: `${id}-events`,
    title: 'What was seen of files',
    note: 'First repetition. The server was asked many times a second: what lasted less than a twentieth of a second may have been missed.',
    columns: [
      ...scenario.axes.map((axis) => left(printable(axis.field))),
      left('target'),
      left('files after the run'),
      left('events'),
    ],
    rows: scenario.cells.flatMap((cell) => {
      const persistence = usableRuns(cell)[0]?.persistence;
      if (!persistence || (persistence.events.length === 0 && persistence.files.length === 0)) return [];
      return [
        [
          ...scenario.axes.map((axis) => axisText(cell.axis[axis.field])),
          targetLabel(scenario, cell.targetId),
          persistence.files.map((file) => `${printable(file.name)} ${formatBytes(file.bytes)}`).join(', ') || UNKNOWN,
          persistence.events.map((event) => `${event.t.toFixed(2)} s ${EVENT_TEXT[event.kind]}`).join(', ') || UNKNOWN,
        ],
      ];
    }),
  };
}
