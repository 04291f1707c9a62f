import { Middleware } from 'inngest';

type Hooks = typeof Middleware.BaseMiddleware;

/** A middleware that logs every hook. */
export function watching(name: string, log: string[]): Hooks {
  const put = (text: string): void => void log.push(`${text} ${name}`);
  const around = async <T>(what: string, next: () => Promise<T>): Promise<T> => {
    put(`${what} before`);
    const result = await next();
    put(`${what} after`);
    return result;
  };
  return class extends Middleware.BaseMiddleware {
    readonly id = name;
    static override onRegister = (): void => put('onRegister');
    override transformSendEvent = <T>(arg: T): T => (put('transformSendEvent'), arg);
    override transformFunctionInput = <T>(arg: T): T => (put('transformFunctionInput'), arg);
    override transformStepInput = (arg: Middleware.TransformStepInputArgs): Middleware.TransformStepInputArgs => {
      put(`transformStepInput ${arg.stepInfo.memoized ? 'memo' : 'fresh'}`);
      return arg;
    };
    override wrapSendEvent = ({ next }: Middleware.WrapSendEventArgs) => around('wrapSendEvent', next);
    override wrapRequest = ({ next }: Middleware.WrapRequestArgs) => around('wrapRequest', next);
    override wrapFunctionHandler = ({ next }: Middleware.WrapFunctionHandlerArgs) =>
      around('wrapFunctionHandler', next);
    override wrapStepHandler = ({ next }: Middleware.WrapStepHandlerArgs) => around('wrapStepHandler', next);
    override wrapStep = ({ next, stepInfo }: Middleware.WrapStepArgs) =>
      around(`wrapStep ${stepInfo.memoized ? 'memo' : 'fresh'}`, next);
    override onMemoizationEnd = (): void => put('onMemoizationEnd');
    override onStepStart = (): void => put('onStepStart');
    override onStepComplete = (): void => put('onStepComplete');
    override onStepError = (): void => put('onStepError');
    override onRunStart = (): void => put('onRunStart');
    override onRunComplete = (): void => put('onRunComplete');
    override onRunError = (): void => put('onRunError');
  } as unknown as Hooks;
}

/** A middleware that writes dates as `{"~date": …}` and reads them back, wherever the SDK lets it. */
export function dates(): Hooks {
  const write = (value: unknown): unknown =>
    value instanceof Date ? { '~date': value.toISOString() } : mapped(value, write);
  const read = (value: unknown): unknown =>
    typeof value === 'object' && value !== null && '~date' in value
      ? new Date(String(value['~date']))
      : mapped(value, read);
  return class extends Middleware.BaseMiddleware {
    readonly id = 'dates';
    override transformSendEvent(arg: Middleware.TransformSendEventArgs): Middleware.TransformSendEventArgs {
      return {
        ...arg,
        events: arg.events.map((event) => ({ ...event, data: write(event.data) as Record<string, unknown> })),
      };
    }
    override transformFunctionInput(arg: Middleware.TransformFunctionInputArgs): Middleware.TransformFunctionInputArgs {
      const ctx = arg.ctx as unknown as { event: { data: unknown }; events: Array<{ data: unknown }> };
      ctx.event = { ...ctx.event, data: read(ctx.event.data) };
      ctx.events = ctx.events.map((event) => ({ ...event, data: read(event.data) }));
      return arg;
    }
    override transformStepInput(arg: Middleware.TransformStepInputArgs): Middleware.TransformStepInputArgs {
      return arg.stepInfo.stepType === 'invoke' ? { ...arg, input: arg.input.map(write) } : arg;
    }
    override wrapStep = async ({ next }: Middleware.WrapStepArgs): Promise<unknown> => read(await next());
    override wrapStepHandler = async ({ next }: Middleware.WrapStepHandlerArgs): Promise<unknown> =>
      write(await next());
    override wrapFunctionHandler = async ({ next }: Middleware.WrapFunctionHandlerArgs): Promise<unknown> =>
      write(await next());
  };
}

function mapped(value: unknown, change: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change);
  if (typeof value !== 'object' || value === null || value.constructor !== Object) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, change(item)]));
}
