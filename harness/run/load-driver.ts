/** The two halves of the load driver as the runner uses them; tests put something smaller in their place. */
import type { LoadHooks, LoadPlan, LoadReport } from '../driver/load-plan.ts';

export interface LoadDriver {
  runLoad(plan: LoadPlan, hooks?: LoadHooks): Promise<LoadReport>;
  preload(plan: LoadPlan, hooks?: LoadHooks): Promise<{ keys: number; bytes: number; seconds: number }>;
}

export async function defaultLoadDriver(): Promise<LoadDriver> {
  return import('../driver/run-load.ts');
}
