import { Middleware } from 'inngest';
import { journal } from '../journal.ts';

/** Notes every step that really runs (a memoised one does not), its attempt and how long it took. */
export class Observe extends Middleware.BaseMiddleware {
  readonly id = 'observe';

  override async wrapStepHandler({ ctx, next, stepInfo }: Middleware.WrapStepHandlerArgs): Promise<unknown> {
    const entry = { vendor: 'inngest', run: ctx.runId, step: stepInfo.options.id, attempt: ctx.attempt + 1 } as const;
    const startedAt = performance.now();
    journal({ ...entry, phase: 'start' });
    try {
      const output = await next();
      journal({ ...entry, phase: 'done', durationMs: performance.now() - startedAt });
      return output;
    } catch (error) {
      journal({
        ...entry,
        phase: 'failed',
        durationMs: performance.now() - startedAt,
        message: (error as Error).message,
      });
      throw error;
    }
  }

  override onRunStart({ ctx }: Middleware.OnRunStartArgs): void {
    journal({ vendor: 'inngest', run: ctx.runId, step: 'run', phase: 'start', attempt: 1 });
  }

  override onRunComplete({ ctx }: Middleware.OnRunCompleteArgs): void {
    journal({ vendor: 'inngest', run: ctx.runId, step: 'run', phase: 'done', attempt: 1 });
  }
}
