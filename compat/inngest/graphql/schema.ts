import { TYPES } from './schema-types.ts';

/**
 * The part of the dev server's schema that people's tests and tools ask for (inngest/inngest: pkg/coreapi/gql.*.graphql): names and
 * nullability are the vendor's, what is not here is answered by GraphQL's own "Cannot query field".
 */
export const SCHEMA = `${TYPES}

  scalar Time
  scalar ULID
  scalar UUID
  scalar Bytes
  scalar Map
  scalar Uint
  scalar Int64
  scalar Unknown
  scalar SpanMetadataKind
  scalar SpanMetadataScope
  scalar SpanMetadataValues
  scalar HTTPHeaders

  type Query {
    apps(filter: AppsFilterV1): [App!]!
    app(id: UUID!): App
    functions: [Function!]
    functionBySlug(query: FunctionQuery!): Function
    functionRun(query: FunctionRunQuery!): FunctionRun
    run(runID: String!): FunctionRunV2
    runs(
      first: Int! = 40
      after: String
      orderBy: [RunsV2OrderBy!]
      filter: RunsFilterV2
      preview: Boolean
    ): RunsV2Connection!
    runTraceSpanOutputByID(outputID: String!): RunTraceSpanOutput!
    runTrigger(runID: String!): RunTraceTrigger!
    runTrace(runID: String!): RunTraceSpan!
    event(query: EventQuery!): Event
    events(query: EventsQuery!): [Event!]
    eventV2(id: ULID!): EventV2!
    eventsV2(first: Int! = 50, after: String, filter: EventsFilter!): EventsConnection!
    stream(query: StreamQuery!): [StreamItem!]!
    workerConnections(
      first: Int! = 100
      after: String
      orderBy: [ConnectV1WorkerConnectionsOrderBy!]!
      filter: ConnectV1WorkerConnectionsFilter!
    ): ConnectV1WorkerConnectionsConnection!
    workerConnection(connectionId: ULID!): ConnectV1WorkerConnection
    debugRun(query: DebugRunQuery!): DebugRun
    debugSession(query: DebugSessionQuery!): DebugSession
  }

  type Mutation {
    createApp(input: CreateAppInput!): App!
    updateApp(input: UpdateAppInput!): App!
    deleteApp(id: String!): String!
    deleteAppByName(name: String!): Boolean!
    invokeFunction(
      data: Map
      functionSlug: String!
      meta: Map
      user: Map
      debugSessionID: ULID
      debugRunID: ULID
    ): Boolean
    cancelRun(runID: ULID!): FunctionRun!
    rerun(runID: ULID!, fromStep: RerunFromStepInput, debugSessionID: ULID, debugRunID: ULID): ULID!
    createDebugSession(input: CreateDebugSessionInput!): CreateDebugSessionResponse!
  }

  input AppsFilterV1 {
    method: AppMethod
  }
  input FunctionQuery {
    workspaceId: ID! = "local"
    functionSlug: String!
  }
  input FunctionRunQuery {
    workspaceId: ID! = "local"
    functionRunId: String!
  }
  input EventQuery {
    workspaceId: ID! = "local"
    eventId: ID!
  }
  input EventsQuery {
    workspaceId: ID! = "local"
    lastEventId: ID
  }
  input StreamQuery {
    after: ID
    before: ID
    limit: Int! = 20
    includeInternalEvents: Boolean
  }
  input CreateAppInput {
    url: String!
  }
  input UpdateAppInput {
    id: String!
    url: String!
  }
  input CreateDebugSessionInput {
    workspaceId: ID! = "local"
    functionSlug: String!
    runID: String
  }
  type CreateDebugSessionResponse {
    debugSessionID: ULID!
    debugRunID: ULID!
  }
  input DebugRunQuery {
    workspaceId: ID! = "local"
    functionSlug: String!
    debugRunID: String
    runID: String
  }
  input DebugSessionQuery {
    workspaceId: ID! = "local"
    functionSlug: String!
    debugSessionID: String
    runID: String
  }
  type DebugRun {
    debugTraces: [RunTraceSpan!]
  }
  type DebugSession {
    debugRuns: [DebugSessionRun!]
  }
  type DebugSessionRun {
    status: RunTraceSpanStatus!
    queuedAt: Time!
    startedAt: Time
    endedAt: Time
    debugRunID: ULID
    tags: [String!]
    versions: [String!]
  }
  input RerunFromStepInput {
    stepID: String!
    input: Bytes
  }
  input EventsFilter {
    eventNames: [String!]
    from: Time!
    includeInternalEvents: Boolean = false
    query: String
    until: Time
  }
  input RunsFilterV2 {
    from: Time
    until: Time
    timeField: RunsV2OrderByField = QUEUED_AT
    status: [FunctionRunStatus!]
    functionIDs: [UUID!]
    appIDs: [UUID!]
    isDeferred: Boolean
    query: String
  }
  input RunsV2OrderBy {
    field: RunsV2OrderByField!
    direction: RunsOrderByDirection!
  }
  enum RunsV2OrderByField {
    QUEUED_AT
    STARTED_AT
    ENDED_AT
  }
  enum RunsOrderByDirection {
    ASC
    DESC
  }
  enum FunctionRunStatus {
    COMPLETED
    FAILED
    CANCELLED
    RUNNING
    QUEUED
    SKIPPED
  }
  enum RunTraceSpanStatus {
    FAILED
    QUEUED
    RUNNING
    COMPLETED
    WAITING
    CANCELLED
    SKIPPED
  }
  enum StepOp {
    INVOKE
    RUN
    SLEEP
    WAIT_FOR_EVENT
    AI_GATEWAY
    WAIT_FOR_SIGNAL
  }
  enum EventStatus {
    RUNNING
    COMPLETED
    PAUSED
    FAILED
    PARTIALLY_FAILED
    NO_FUNCTIONS
  }
  enum FunctionTriggerTypes {
    EVENT
    CRON
  }
  enum StreamType {
    EVENT
    CRON
  }
  enum AppMethod {
    SERVE
    CONNECT
    API
  }

  enum ConnectV1ConnectionStatus {
    CONNECTED
    READY
    DRAINING
    DISCONNECTING
    DISCONNECTED
  }
  input ConnectV1WorkerConnectionsFilter {
    from: Time
    until: Time
    timeField: ConnectV1WorkerConnectionsOrderByField = CONNECTED_AT
    status: [ConnectV1ConnectionStatus!]
    appIDs: [UUID!]
  }
  input ConnectV1WorkerConnectionsOrderBy {
    field: ConnectV1WorkerConnectionsOrderByField!
    direction: ConnectV1WorkerConnectionsOrderByDirection!
  }
  enum ConnectV1WorkerConnectionsOrderByField {
    CONNECTED_AT
    LAST_HEARTBEAT_AT
    DISCONNECTED_AT
  }
  enum ConnectV1WorkerConnectionsOrderByDirection {
    ASC
    DESC
  }
  type ConnectV1WorkerConnection {
    id: ULID!
    gatewayId: ULID!
    instanceId: String!
    workerIp: String!
    maxWorkerConcurrency: Int64!
    appName: String
    appID: UUID
    app: App
    connectedAt: Time!
    lastHeartbeatAt: Time
    disconnectedAt: Time
    disconnectReason: String
    status: ConnectV1ConnectionStatus!
    groupHash: String!
    sdkLang: String!
    sdkVersion: String!
    sdkPlatform: String!
    syncId: UUID
    buildId: String
    appVersion: String
    functionCount: Int!
    cpuCores: Int!
    memBytes: Int64!
    os: String!
  }
  type ConnectV1WorkerConnectionsConnection {
    edges: [ConnectV1WorkerConnectionEdge!]!
    pageInfo: PageInfo!
    totalCount: Int!
  }
  type ConnectV1WorkerConnectionEdge {
    node: ConnectV1WorkerConnection!
    cursor: String!
  }
`;
