import type { Hono } from 'hono';
import {
  CONNECT_CHANNEL,
  CONNECT_PROTOCOL,
  ConnectGateway,
  inngestExecutor,
  inngestKeys,
  inngestRoutes,
  inngestTranslator,
  REALTIME_PROTOCOL,
  realtimeProtocol,
} from '../compat/inngest/index.ts';
import { qstashExecutor, qstashKeys, qstashRoutes, qstashTranslator } from '../compat/qstash/index.ts';
import {
  DEV_PROTOCOL,
  devProtocol,
  EXECUTOR as TRIGGER,
  ROW_VIEW,
  rowView,
  triggerKeys,
  triggerRoutes,
  triggerTranslator,
} from '../compat/trigger/index.ts';
import { END_VIEW, endView } from '../core/channel/run-end.ts';
import { NATIVE_PROTOCOL, nativeProtocol } from './channel/native-protocol.ts';
import { nativeKeys } from './environments/native-keys.ts';
import type {
  EnvironmentKeys,
  PushExecutor,
  RouteEnv,
  RunView,
  SocketProtocolFactory,
  Translator,
} from '../core/ports.ts';

/** The one list of what is compatible with what; the order is that of route matching. */
export const VENDOR_ROUTES: Array<() => Hono<RouteEnv>> = [inngestRoutes, qstashRoutes, triggerRoutes];

/** By which a request says which environment it means; the order is that of asking. */
export const ENVIRONMENT_KEYS: readonly EnvironmentKeys[] = [inngestKeys, triggerKeys, qstashKeys, nativeKeys];

/** By executor name, see TaskSpec.executor. */
export const EXECUTORS: Readonly<Record<string, PushExecutor>> = { inngest: inngestExecutor, qstash: qstashExecutor };
export const TRANSLATORS: Readonly<Record<string, Translator>> = {
  inngest: inngestTranslator,
  qstash: qstashTranslator,
  [TRIGGER]: triggerTranslator,
};

/** By the name in ConnectOptions. */
export const SOCKET_PROTOCOLS: Readonly<Record<string, SocketProtocolFactory>> = {
  [NATIVE_PROTOCOL]: nativeProtocol,
  [DEV_PROTOCOL]: devProtocol,
  [REALTIME_PROTOCOL]: realtimeProtocol,
  [CONNECT_PROTOCOL]: (host) => new ConnectGateway(host),
};
/** Channels of each environment in which work may be under way: they are told before the process ends. */
export const DRAINED_CHANNELS: readonly string[] = [CONNECT_CHANNEL];
/** By the name in ChannelApi.watchRun and watchLabel. */
export const RUN_VIEWS: Readonly<Record<string, RunView>> = { [ROW_VIEW]: rowView, [END_VIEW]: endView };
