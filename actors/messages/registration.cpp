#include "actors/messages/registration.hpp"

#include "actors/fabric/message_types.hpp"
#include "actors/messages/node.hpp"
#include "actors/messages/server.hpp"
#include "actors/messages/serving.hpp"
#include "actors/messages/shard.hpp"
#include "actors/messages/worker.hpp"

namespace ds::messages {

void register_messages(caf::actor_system_config& config) {
  using fabric::add_message;
  add_message<WorkerHello>(config, "ds::WorkerHello");
  add_message<HelloTaken>(config, "ds::HelloTaken");
  add_message<AssignJob>(config, "ds::AssignJob");
  add_message<DataRead>(config, "ds::DataRead");
  add_message<PauseGang>(config, "ds::PauseGang");
  add_message<GangPaused>(config, "ds::GangPaused");
  add_message<GangPausing>(config, "ds::GangPausing");
  add_message<JoinGang>(config, "ds::JoinGang");
  add_message<GangJoined>(config, "ds::GangJoined");
  add_message<StartSteps>(config, "ds::StartSteps");
  add_message<UseShards>(config, "ds::UseShards");
  add_message<AskBatches>(config, "ds::AskBatches");
  add_message<BatchMade>(config, "ds::BatchMade");
  add_message<GangStuck>(config, "ds::GangStuck");
  add_message<FetchState>(config, "ds::FetchState");
  add_message<StateReply>(config, "ds::StateReply");
  add_message<StepReport>(config, "ds::StepReport");
  add_message<EvaluationReport>(config, "ds::EvaluationReport");
  add_message<SaveCheckpoint>(config, "ds::SaveCheckpoint");
  add_message<CheckpointSaved>(config, "ds::CheckpointSaved");
  add_message<TrainingFinished>(config, "ds::TrainingFinished");
  add_message<WorkerFailed>(config, "ds::WorkerFailed");
  add_message<JobImpossible>(config, "ds::JobImpossible");
  add_message<StopWorker>(config, "ds::StopWorker");
  add_message<ExportOrder>(config, "ds::ExportOrder");
  add_message<ExportDone>(config, "ds::ExportDone");
  add_message<ServerPaused>(config, "ds::ServerPaused");
  add_message<JoinServers>(config, "ds::JoinServers");
  add_message<RangeCall>(config, "ds::RangeCall");
  add_message<RangeAnswer>(config, "ds::RangeAnswer");
  add_message<RangeRefused>(config, "ds::RangeRefused");
  add_message<ReplicaCall>(config, "ds::ReplicaCall");
  add_message<ReplicaStored>(config, "ds::ReplicaStored");
  add_message<FetchRange>(config, "ds::FetchRange");
  add_message<FetchedRange>(config, "ds::FetchedRange");
  add_message<parameters::PushSum>(config, "ds::PushSum");
  add_message<parameters::Prepared>(config, "ds::Prepared");
  add_message<parameters::Commit>(config, "ds::Commit");
  add_message<parameters::CommitAndPull>(config, "ds::CommitAndPull");
  add_message<parameters::PushUpdate>(config, "ds::PushUpdate");
  add_message<parameters::Pushed>(config, "ds::Pushed");
  add_message<parameters::Pull>(config, "ds::Pull");
  add_message<parameters::Pulled>(config, "ds::Pulled");
  add_message<parameters::RangeImage>(config, "ds::RangeImage");
  add_message<parameters::Install>(config, "ds::Install");
  add_message<parameters::Done>(config, "ds::Done");
  add_message<parameters::KeepWorkerState>(config, "ds::KeepWorkerState");
  add_message<parameters::ReadRange>(config, "ds::ReadRange");
  add_message<parameters::StoreSum>(config, "ds::StoreSum");
  add_message<NodeHello>(config, "ds::NodeHello");
  add_message<NodeWelcome>(config, "ds::NodeWelcome");
  add_message<NodeRefused>(config, "ds::NodeRefused");
  add_message<RenewNode>(config, "ds::RenewNode");
  add_message<NodeRenewed>(config, "ds::NodeRenewed");
  add_message<StartWorker>(config, "ds::StartWorker");
  add_message<StartCommand>(config, "ds::StartCommand");
  add_message<StopCommand>(config, "ds::StopCommand");
  add_message<ExitTaken>(config, "ds::ExitTaken");
  add_message<KillWorker>(config, "ds::KillWorker");
  add_message<WorkerStarted>(config, "ds::WorkerStarted");
  add_message<WorkerExited>(config, "ds::WorkerExited");
  add_message<NodeLeaving>(config, "ds::NodeLeaving");
  add_message<LogLines>(config, "ds::LogLines");
  add_message<LogTaken>(config, "ds::LogTaken");
  add_message<ReplicaHello>(config, "ds::ReplicaHello");
  add_message<AssignReplica>(config, "ds::AssignReplica");
  add_message<ReplicaFailed>(config, "ds::ReplicaFailed");
  add_message<InferCall>(config, "ds::InferCall");
  add_message<InferAnswer>(config, "ds::InferAnswer");
  add_message<CancelInfer>(config, "ds::CancelInfer");
  add_message<BeginInfer>(config, "ds::BeginInfer");
  add_message<InferBegun>(config, "ds::InferBegun");
}

}  // namespace ds::messages
