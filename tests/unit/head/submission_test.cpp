#include "actors/head/submission.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "actors/head/quota_check.hpp"
#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::head {
namespace {

using nlohmann::json;

constexpr const char* kJobText = R"(version: 1
kind: train
name: intents
model: {zoo: text_classifier}
data:
  train: {source: train.csv, format: csv, columns: {text: utterance, label: intent}}
  validate: {source: test.csv, format: csv, columns: {text: utterance, label: intent}}
until: {epochs: 2}
)";

class JobSubmission : public ::testing::Test {
 protected:
  JobSubmission() {
    write("train.csv", "utterance,intent\nhello,greeting\n");
    write("test.csv", "utterance,intent\nbye,farewell\n");
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / name) << text;
  }

  json body() const {
    return {{"file", "job.yaml"}, {"directory", folder_.path().string()}, {"text", kJobText}};
  }

  /// The error that a request is answered with; null when it is accepted.
  static json refuse(const std::string& text, int status, const std::string& key = "key") {
    gateway::HttpRequest request;
    request.body = text;
    request.headers["idempotency-key"] = key;
    const auto checked = check_submission(request);
    const auto* response = std::get_if<gateway::HttpResponse>(&checked);
    if (response == nullptr) return nullptr;
    EXPECT_EQ(response->status, status) << response->body;
    return json::parse(response->body).at("error");
  }

  /// The message of a refusal with `bad_request`.
  static std::string refuse_request(const std::string& text, const std::string& key = "key") {
    const auto error = refuse(text, 400, key);
    if (error.is_null()) return "accepted";
    EXPECT_EQ(error.at("code"), "bad_request");
    return error.at("message");
  }

  const TemporaryFolder folder_;
};

TEST_F(JobSubmission, AcceptsARightJob) {
  gateway::HttpRequest request;
  request.body = body().dump();
  request.headers["idempotency-key"] = "key-1";
  const auto checked = check_submission(request);
  ASSERT_TRUE(std::holds_alternative<Submission>(checked)) << std::get<gateway::HttpResponse>(checked).body;
  const auto& submission = std::get<Submission>(checked);
  EXPECT_EQ(submission.key, "key-1");
  EXPECT_EQ(submission.file, "job.yaml");
  EXPECT_EQ(submission.text, kJobText);
  EXPECT_EQ(submission.spec.name, "intents");
  EXPECT_EQ(submission.spec.data.train.paths, std::vector{(folder_.path() / "train.csv").string()});
}

TEST_F(JobSubmission, AcceptsARequestWithoutAKey) {
  gateway::HttpRequest request;
  request.body = body().dump();
  const auto checked = check_submission(request);
  ASSERT_TRUE(std::holds_alternative<Submission>(checked));
  EXPECT_EQ(std::get<Submission>(checked).key, "");
}

TEST_F(JobSubmission, IsOfTheTenantThatTheClientTheFileAndTheClientsDefaultSayInThatOrder) {
  const auto tenant_of = [&](const std::string& file, const std::string& given, const std::string& other) {
    json all = body();
    if (!file.empty()) all["text"] = kJobText + ("tenant: " + file + "\n");
    if (!given.empty()) all["tenant"] = given;
    if (!other.empty()) all["default_tenant"] = other;
    gateway::HttpRequest request;
    request.body = all.dump();
    const auto checked = check_submission(request);
    const auto* submission = std::get_if<Submission>(&checked);
    if (submission == nullptr) return std::get<gateway::HttpResponse>(checked).body;
    // What is kept of the job is its text.
    auto kept = scheduler::parse_job_file(submission->text, submission->directory);
    EXPECT_EQ(std::get<scheduler::ParsedJob>(kept).spec, submission->spec);
    EXPECT_EQ(submission->marks.at("until"), (scheduler::Mark{8, 1})) << "not as the user has the file";
    return submission->spec.tenant;
  };
  EXPECT_EQ(tenant_of("", "", ""), "default");
  EXPECT_EQ(tenant_of("", "", "three"), "three");
  EXPECT_EQ(tenant_of("two", "", "three"), "two");
  EXPECT_EQ(tenant_of("two", "one", "three"), "one");
  EXPECT_EQ(tenant_of("", "one", "three"), "one");
  EXPECT_EQ(tenant_of("two", "", "no name"), "two") << "nobody asked for it";
  EXPECT_NE(tenant_of("", "", "no name").find("is no name"), std::string::npos);
  EXPECT_NE(tenant_of("two", "No", "").find("is no name"), std::string::npos);
}

TEST_F(JobSubmission, RefusesATenantWhereItWasNamed) {
  const auto tenants =
      std::get<scheduler::TenantTree>(scheduler::parse_tenant_file("tenants: {nlp: {guaranteed: 1}}"));
  const auto refusal_of = [&](const char* tenant) {
    json all = body();
    all["text"] = std::string(kJobText) + "tenant: lost\n";
    if (tenant != nullptr) all["tenant"] = tenant;
    gateway::HttpRequest request;
    request.body = all.dump();
    const auto refused = check_tenant(std::get<Submission>(check_submission(request)), tenants);
    return json::parse(refused.value().body).at("error").at("details").at(0);
  };
  EXPECT_EQ(refusal_of(nullptr).at("line"), 9);
  EXPECT_EQ(refusal_of(nullptr).at("column"), 9);
  EXPECT_EQ(refusal_of("other").at("line"), 0) << "the file does not say it";
  EXPECT_NE(refusal_of("default").at("hint").get<std::string>().find("--tenant"), std::string::npos);
}

TEST_F(JobSubmission, RefusesWhatIsNoJsonObject) {
  EXPECT_NE(refuse_request("").find("not JSON"), std::string::npos);
  EXPECT_NE(refuse_request("{").find("not JSON"), std::string::npos);
  EXPECT_NE(refuse_request("{\"file\": \"\xff\"}").find("not JSON"), std::string::npos);
  EXPECT_EQ(refuse_request("[]"), "the body is not a JSON object");
}

TEST_F(JobSubmission, RefusesAKeyThatStandsTwice) {
  EXPECT_EQ(refuse_request(R"({"file":"a","file":"b"})"), "the body has the key \"file\" twice");
  EXPECT_EQ(refuse_request(R"({"x":{"y":1,"y":2}})"), "the body has the key \"y\" twice");
  // The same key in two objects is none that stands twice.
  EXPECT_EQ(refuse_request(R"({"x":{"y":1},"z":[{"y":1},{"y":2}]})"), "the body needs \"file\", a string");
}

TEST_F(JobSubmission, RefusesABodyThatIsNestedTooDeeply) {
  const auto nested = [](int levels) {
    return "{\"x\":" + std::string(static_cast<std::size_t>(levels), '[') +
           std::string(static_cast<std::size_t>(levels), ']') + "}";
  };
  EXPECT_EQ(refuse_request(nested(10)), "the body needs \"file\", a string");
  EXPECT_EQ(refuse_request(nested(40)), "the body is nested deeper than 32 levels");
  EXPECT_EQ(refuse_request(nested(60'000)), "the body is nested deeper than 32 levels");
}

TEST_F(JobSubmission, RefusesABodyWithoutAFieldOrWithAnotherType) {
  for (const std::string field : {"file", "directory", "text"}) {
    auto without = body();
    without.erase(field);
    EXPECT_EQ(refuse_request(without.dump()), "the body needs \"" + field + "\", a string");
    auto wrong = body();
    wrong[field] = 5;
    EXPECT_EQ(refuse_request(wrong.dump()), "the body needs \"" + field + "\", a string");
  }
}

TEST_F(JobSubmission, RefusesARelativeDirectory) {
  for (const std::string directory : {"", ".", "data", "../data"}) {
    auto relative = body();
    relative["directory"] = directory;
    EXPECT_EQ(refuse_request(relative.dump()), "\"directory\" must be an absolute path");
  }
}

TEST_F(JobSubmission, RefusesAHugeText) {
  auto huge = body();
  std::string text = kJobText;
  text += "#" + std::string((64 << 10) - text.size() - 1, 'x');
  huge["text"] = text;
  EXPECT_EQ(refuse(huge.dump(), 200), nullptr);
  huge["text"] = text + "x";
  EXPECT_EQ(refuse_request(huge.dump()), "the job file is larger than 64 KiB");
}

TEST_F(JobSubmission, RefusesALongKey) {
  EXPECT_EQ(refuse(body().dump(), 200, std::string(128, 'k')), nullptr);
  EXPECT_EQ(refuse_request(body().dump(), std::string(129, 'k')), "Idempotency-Key is longer than 128 bytes");
}

TEST_F(JobSubmission, RefusesAKeyThatWouldNotSurviveTheJournal) {
  for (const char* key : {"\xff", "\xfe\xfe", "a b", "a\nb", "\x7f"}) {
    EXPECT_NE(refuse_request(body().dump(), key).find("printable ASCII"), std::string::npos) << key;
  }
}

TEST_F(JobSubmission, RefusesPathsThatNoFileHas) {
  for (const std::string& wrong :
       {std::string("/a\0b", 4), std::string("/a\nb"), "/" + std::string(5000, 'a')}) {
    for (const char* field : {"file", "directory"}) {
      auto request = body();
      request[field] = wrong;
      EXPECT_NE(refuse_request(request.dump()).find("paths"), std::string::npos) << field;
    }
  }
}

TEST_F(JobSubmission, TellsWhereAJobFileIsWrong) {
  auto wrong = body();
  wrong["text"] = std::string(kJobText) + "optimizer: {name: adamw, lr: fast}\n";
  const auto error = refuse(wrong.dump(), 422);
  ASSERT_EQ(error.at("code"), "invalid_job");
  ASSERT_EQ(error.at("details").size(), 1U);
  EXPECT_EQ(error.at("details").at(0).at("field"), "optimizer.lr");
  EXPECT_EQ(error.at("details").at(0).at("line"), 9);
  EXPECT_EQ(error.at("details").at(0).at("column"), 30);
}

TEST_F(JobSubmission, KeepsWhatTheClientSetsBesideTheFile) {
  auto all = body();
  all["set"] = {"until.epochs=9", "tenant=vision"};
  all["default_tenant"] = "nobody";
  gateway::HttpRequest request;
  request.body = all.dump();
  const auto checked = check_submission(request);
  ASSERT_TRUE(std::holds_alternative<Submission>(checked)) << std::get<gateway::HttpResponse>(checked).body;
  const auto& submission = std::get<Submission>(checked);
  EXPECT_EQ(submission.spec.until.epochs, 9U);
  EXPECT_EQ(submission.spec.tenant, "vision");
  EXPECT_EQ(submission.marks.at("name"), (scheduler::Mark{3, 7}));
  const auto kept = scheduler::parse_job_file(submission.text, submission.directory);
  EXPECT_EQ(std::get<scheduler::ParsedJob>(kept).spec, submission.spec);

  all["tenant"] = "nlp";
  request.body = all.dump();
  EXPECT_EQ(std::get<Submission>(check_submission(request)).spec.tenant, "nlp");
}

TEST_F(JobSubmission, TellsWhichOverrideIsWrong) {
  auto wrong = body();
  wrong["set"] = {"seed=7", "optimizer.lr=fast"};
  const auto error = refuse(wrong.dump(), 422);
  ASSERT_EQ(error.at("details").size(), 1U);
  EXPECT_EQ(error.at("details").at(0).at("field"), "optimizer.lr");
  EXPECT_EQ(error.at("details").at(0).at("set"), 2);
  EXPECT_EQ(error.at("details").at(0).at("line"), 0);
  for (const json& set : {json("seed=7"), json{7}, json(std::vector<std::string>(65, "seed=7"))}) {
    wrong["set"] = set;
    EXPECT_NE(refuse_request(wrong.dump()).find("at most 64 texts PATH=VALUE"), std::string::npos) << set;
  }
}

TEST_F(JobSubmission, TellsWhichDataIsWrongAndWhereTheFileNamesIt) {
  std::filesystem::remove(folder_.path() / "train.csv");
  write("test.csv", "utterance,topic\nbye,farewell\n");
  const auto error = refuse(body().dump(), 422);
  ASSERT_EQ(error.at("code"), "invalid_job");
  ASSERT_EQ(error.at("details").size(), 2U);
  EXPECT_EQ(error.at("details").at(0).at("field"), "data.train");
  EXPECT_EQ(error.at("details").at(0).at("line"), 6);
  EXPECT_NE(error.at("details").at(0).at("message").get<std::string>().find("train.csv"), std::string::npos);
  EXPECT_EQ(error.at("details").at(1).at("field"), "data.validate");
  EXPECT_EQ(error.at("details").at(1).at("line"), 7);
  EXPECT_NE(error.at("details").at(1).at("message").get<std::string>().find("intent"), std::string::npos);
}

TEST(IdempotencyKey, IsEmptyWhenThereIsNone) {
  gateway::HttpRequest request;
  EXPECT_EQ(idempotency_key(request), "");
  request.headers["idempotency-key"] = "k";
  EXPECT_EQ(idempotency_key(request), "k");
}

TEST(QuotaCheck, LooksAtTheNumberOfWorkersThatIsAskedFor) {
  const auto tenants = std::get<scheduler::TenantTree>(
      scheduler::parse_tenant_file("tenants: {nlp: {guaranteed: 2, borrowing_limit: 1}}"));
  scheduler::JobSpec spec;
  spec.tenant = "nlp";
  spec.workers = {1, 8};
  EXPECT_FALSE(check_quota(spec, 3, tenants));
  const auto refused = check_quota(spec, 4, tenants);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 429);
  EXPECT_NE(refused->body.find("refused_by_quota"), std::string::npos) << refused->body;
  EXPECT_FALSE(is_beyond_quota(spec, 3, tenants));
  EXPECT_TRUE(is_beyond_quota(spec, 4, tenants));
  spec.tenant = "gone";
  EXPECT_FALSE(check_quota(spec, 4, tenants)) << "a later file lacks it: what it has it keeps";
  EXPECT_TRUE(is_beyond_quota(spec, 1, tenants)) << "and it gets nothing";
}

TEST(QuotaCheck, CountsGpusToo) {
  const auto tenants =
      std::get<scheduler::TenantTree>(scheduler::parse_tenant_file("tenants: {nlp: {gpu_limit: 4}}"));
  scheduler::JobSpec spec;
  spec.tenant = "nlp";
  spec.resources.gpus = 2;
  EXPECT_FALSE(check_quota(spec, 2, tenants));
  EXPECT_FALSE(is_beyond_quota(spec, 2, tenants));
  EXPECT_TRUE(is_beyond_quota(spec, 3, tenants));
  const auto refused = check_quota(spec, 3, tenants);
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->body.find("6 GPUs at least, and nlp may have 4"), std::string::npos) << refused->body;
}

TEST(TenantCheck, RefusesWhatNoTenantOrQuotaAllows) {
  const auto tenants = std::get<scheduler::TenantTree>(
      scheduler::parse_tenant_file("tenants: {nlp: {guaranteed: 2, borrowing_limit: 1}, vision: {}}"));
  Submission submission{{}, "job.yaml", "/data", {}, {}, {{"tenant", {4, 9}}}};
  submission.spec.tenant = "nlq";
  auto refused = check_tenant(submission, tenants);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 422);
  const auto detail = json::parse(refused->body).at("error").at("details").at(0);
  EXPECT_EQ(detail.at("field"), "tenant");
  EXPECT_EQ(detail.at("line"), 4);
  EXPECT_EQ(detail.at("column"), 9);
  submission.spec.tenant = "nlp";
  submission.spec.workers = {4, 4};
  refused = check_tenant(submission, tenants);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 429);
  EXPECT_EQ(json::parse(refused->body).at("error").at("code"), "refused_by_quota");
  submission.spec.workers = {3, 8};
  EXPECT_FALSE(check_tenant(submission, tenants));
  submission.spec.tenant = "anybody";
  EXPECT_FALSE(check_tenant(submission, scheduler::TenantTree{})) << "there are no tenants";
}

TEST(Dependencies, AreResolvedToIdsOrRefusedWithTheirPlaces) {
  scheduler::Ledger ledger;
  for (const char* id : {"intents-1", "intents-2", "other-3"}) {
    std::string text = kJobText;
    if (std::string_view(id).starts_with("other")) text.replace(text.find("intents"), 7, "other");
    ASSERT_TRUE(ledger.apply({1, "user", "", scheduler::JobSubmitted{id, "", "job.yaml", "/data", text}}));
  }
  Submission submission{{}, "job.yaml", "/data",
                        {}, {},         {{"depends_on[0]", {4, 14}}, {"depends_on[1]", {4, 21}}}};
  EXPECT_TRUE(std::get<std::vector<std::string>>(resolve_dependencies(submission, ledger)).empty());
  submission.spec.depends_on = {"other", "intents-2"};
  EXPECT_EQ(std::get<std::vector<std::string>>(resolve_dependencies(submission, ledger)),
            (std::vector<std::string>{"other-3", "intents-2"}));
  submission.spec.depends_on = {"nobody", "intents"};
  const auto refused = std::get<gateway::HttpResponse>(resolve_dependencies(submission, ledger));
  EXPECT_EQ(refused.status, 422);
  const auto details = json::parse(refused.body).at("error").at("details");
  ASSERT_EQ(details.size(), 2U);
  EXPECT_EQ(details[0].at("message"), "there is no job \"nobody\"");
  EXPECT_EQ(details[0].at("column"), 14);
  EXPECT_EQ(details[1].at("message"), "2 jobs are named \"intents\"");
  EXPECT_EQ(details[1].at("line"), 4);
  EXPECT_EQ(details[1].at("column"), 21);
}

TEST(Dependencies, AreNoJobsThatServeAndSoNeverSucceed) {
  scheduler::Ledger ledger;
  const std::string text = "version: 1\nkind: serve\nname: answers\nmodel: {source: \"file:m.pt\"}\n";
  ASSERT_TRUE(
      ledger.apply({1, "user", "", scheduler::JobSubmitted{"answers-1", "", "job.yaml", "/data", text}}));
  Submission submission{{}, "job.yaml", "/data", {}, {}, {{"depends_on[0]", {4, 14}}}};
  submission.spec.depends_on = {"answers"};
  const auto refused = std::get<gateway::HttpResponse>(resolve_dependencies(submission, ledger));
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(json::parse(refused.body).at("error").at("details").at(0).at("message"),
            "job answers-1 serves a model, which never succeeds");
}

using Entries = std::vector<storage::CheckpointEntry>;

scheduler::ServedSource source_of(const std::string& text) {
  const auto job =
      scheduler::parse_job_file("version: 1\nkind: serve\nmodel: {source: \"" + text + "\"}\n", "/data");
  return std::get<scheduler::ParsedJob>(job).spec.serve->source;
}

TEST(ServedCheckpoint, IsTheBestTheNewestOrTheOneThatIsNamed) {
  const Entries entries{{10, 1, 1, {{"accuracy", 0.5}}}, {20, 1, 2, {{"accuracy", 0.9}}}, {30, 1, 3, {}}};
  const scheduler::Goal more{"accuracy", true}, less{"accuracy", false};
  EXPECT_EQ(choose_step(entries, more, source_of("ckpt:intents@best")), 20U);
  EXPECT_EQ(choose_step(entries, less, source_of("ckpt:intents")), 10U);
  EXPECT_EQ(choose_step(entries, more, source_of("ckpt:intents@newest")), 30U);
  EXPECT_EQ(choose_step(entries, more, source_of("ckpt:intents@10")), 10U);
  EXPECT_EQ(choose_step(Entries{{30, 1, 3, {}}}, more, source_of("ckpt:intents@best")), 30U)
      << "nothing is known of any";
  EXPECT_FALSE(choose_step(entries, more, source_of("ckpt:intents@15")));
  EXPECT_FALSE(choose_step({}, more, source_of("ckpt:intents")));
}

TEST(Endpoints, HaveOneJobANameWhateverTheIdsOfOthersAre) {
  scheduler::Ledger ledger;
  const auto add = [&](const std::string& id, const std::string& name) {
    const std::string text =
        "version: 1\nkind: serve\nname: " + name + "\nmodel: {source: \"ckpt:a\"}\nreplicas: 1\n";
    scheduler::Event event;
    event.body = scheduler::JobSubmitted{id, id, "serve.yaml", "/data", text};
    ASSERT_TRUE(ledger.apply(event)) << id;
  };
  add("a-1", "a");
  add("a-1-1", "a-1");
  const auto refused = check_endpoint("a-1", ledger);
  ASSERT_TRUE(refused) << "two jobs would answer for one model";
  EXPECT_NE(refused->body.find("job a-1-1 serves a model named a-1 already"), std::string::npos)
      << refused->body;
  EXPECT_FALSE(check_endpoint("b", ledger));
}

TEST(Endpoints, OfAFileAreFoundByAnEqualJobFile) {
  scheduler::Ledger ledger;
  const auto submission_of = [](const std::string& more) {
    Submission submission;
    submission.text = "version: 1\nkind: serve\nname: a\nmodel: {source: \"file:a.pt\"}\n" + more;
    auto parsed = scheduler::parse_job_file(submission.text, "/data");
    submission.spec = std::get<scheduler::ParsedJob>(parsed).spec;
    return submission;
  };
  const auto first = submission_of("replicas: 1\n");
  const auto apply = [&](scheduler::Event::Body body) {
    scheduler::Event event;
    event.body = std::move(body);
    return ledger.apply(event);
  };
  ASSERT_TRUE(apply(scheduler::JobSubmitted{"a-1", "", "serve.yaml", "/data", first.text}));
  EXPECT_EQ(find_same_server(first, ledger), nullptr) << "a head before has accepted it";
  ASSERT_TRUE(apply(scheduler::FileServed{"a-1", 1, "sum"}));
  ASSERT_NE(find_same_server(submission_of("replicas: {min: 1, max: 1}  # the same\n"), ledger), nullptr);
  EXPECT_EQ(find_same_server(first, ledger)->id, "a-1");
  EXPECT_EQ(find_same_server(submission_of("replicas: 2\n"), ledger), nullptr) << "another job";
  ASSERT_TRUE(apply(scheduler::JobStateChanged{"a-1", scheduler::JobState::cancelled, ""}));
  EXPECT_EQ(find_same_server(first, ledger), nullptr) << "it has ended";
}

}  // namespace
}  // namespace ds::head
