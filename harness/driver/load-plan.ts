/**
 * What a load driver is told and what it reports: plain data, so that it can be posted to a worker thread.
 */
import type { Scenario } from '../../scenarios/spec.ts';
import type { MergedTotals } from '../measure/recorder.ts';
import type { TimelineRow } from '../result.ts';

export type ServerAddress =
  | { kind: 'tcp'; host: string; port: number; tls?: { servername?: string; rejectUnauthorized?: boolean } }
  | { kind: 'unix'; path: string };

export interface Endpoint {
  address: ServerAddress;
  protocol: 'redis' | 'memcached-ascii' | 'memcached-binary';
  username: string | null;
  password: string | null;
  /** Redis database number. */
  database: number;
}

export interface LoadPlan {
  endpoint: Endpoint;
  /** One cell of the matrix. */
  scenario: Scenario;
  /** Seed of this repetition (derived from the scenario's). */
  seed: string;
  /** Which loop carries the raw driver. */
  eventLoop: 'auto' | 'epoll' | 'libuv';
}

/** Called for each closed interval, while the load runs. `phase` tells warm-up from measurement. */
export type IntervalListener = (row: TimelineRow, phase: 'preload' | 'warm-up' | 'measure') => void;

/** What all threads have recorded together, and what the driver knows beside it. */
export interface LoadReport extends MergedTotals {
  durationS: number;
  offeredRate: number | null;
  bytesSent: number;
  bytesReceived: number;
  timeline: TimelineRow[];
  /** Seconds of CPU of all driver threads in the measured phase, and wall seconds they had. */
  clientCpuS: number | null;
  threads: number;
  connections: number;
  /** Set when the target died or the load was aborted: what was measured so far is in the report. */
  aborted: string | null;
  fanout: { published: number; expectedDeliveries: number; deliveries: number; polling: boolean } | null;
}

export interface LoadHooks {
  onInterval?: IntervalListener;
  /** Called at the start and the end of the measured phase, so that server CPU can be read at the same moments. */
  onMeasureStart?: () => void;
  onMeasureEnd?: () => void;
  signal?: AbortSignal;
}

/*
 * The driver room exports (harness/driver/run-load.ts):
 *   runLoad(plan: LoadPlan, hooks?: LoadHooks): Promise<LoadReport>       preload is NOT part of it
 *   preload(plan: LoadPlan, hooks?: LoadHooks): Promise<{ keys: number; bytes: number; seconds: number }>
 *     stores the share `scenario.dataset.preload` of the keys, as fast as it goes, never failing silently
 * Both start worker threads for the raw driver; ioredis and memjs run in a worker thread as well, so that the harness's own
 * thread stays idle and can sample.
 */
