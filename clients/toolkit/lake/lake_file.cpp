#include "clients/toolkit/lake/lake_file.h"

#include <avro.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "clients/toolkit/lake/lake_outline.h"
#include "clients/toolkit/message.h"
#include "shm/base/crash_point.h"

namespace mallbots::toolkit {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
/// More than the lengths and numbers of a record's fields take.
constexpr std::size_t kFieldBytes = 256;
constexpr std::size_t kHeaderBytes = 20;

constexpr std::string_view kSchema = R"({
 "type": "record", "name": "Event", "namespace": "mallbots.lake", "fields": [
  {"name": "topic", "type": "string"},
  {"name": "partition", "type": "int"},
  {"name": "offset", "type": "long"},
  {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "id", "type": "string"},
  {"name": "type", "type": "string"},
  {"name": "version", "type": "int"},
  {"name": "key", "type": "bytes"},
  {"name": "headers", "type": {"type": "array", "items":
    {"type": "record", "name": "Header", "fields": [
      {"name": "name", "type": "string"}, {"name": "value", "type": "bytes"}]}}},
  {"name": "payload", "type": "bytes"},
  {"name": "tombstone", "type": "boolean"},
  {"name": "attributes", "type": "bytes"}]})";

enum Field : std::size_t {
  kTopic,
  kPartition,
  kOffset,
  kTime,
  kId,
  kType,
  kVersion,
  kKey,
  kHeaders,
  kPayload,
  kTombstone,
  kAttributes,
};
// What a record is made of again; the others are for those who read the files with other tools.
constexpr std::array<std::pair<const char*, avro_type_t>, 8> kNeeded{{{"topic", AVRO_STRING},
                                                                      {"partition", AVRO_INT32},
                                                                      {"offset", AVRO_INT64},
                                                                      {"time", AVRO_INT64},
                                                                      {"key", AVRO_BYTES},
                                                                      {"payload", AVRO_BYTES},
                                                                      {"tombstone", AVRO_BOOLEAN},
                                                                      {"attributes", AVRO_BYTES}}};
enum Needed : std::size_t {
  kFromTopic,
  kFromPartition,
  kFromOffset,
  kFromTime,
  kFromKey,
  kFromPayload,
  kFromTombstone,
  kFromAttributes,
};

std::unexpected<Error> io_error(const std::string& path, const std::string& reason) {
  return fail(ErrorCode::kIo, "lake file " + path + ": " + reason);
}
std::unexpected<Error> corrupt(const std::string& path, const std::string& reason) {
  return fail(ErrorCode::kCorrupt, "lake file " + path + ": " + reason);
}

std::size_t size_of(const client::Message& message) {
  std::size_t headers = 0;
  for (const client::Header header : message.headers())
    headers += header.name.size() + header.value.size() + kHeaderBytes;
  // Three times the attributes: as they are, as headers, and id and name once more.
  return message.topic.size() + message.key.size() + message.payload.size() + headers +
         2 * message.attributes.size() + kFieldBytes;
}

/// Bytes of the character that `text` begins with; 0: it is no UTF-8 (RFC 3629).
std::size_t character_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead < 0xc2   ? 0
                           : lead < 0xe0 ? 2
                           : lead < 0xf0 ? 3
                           : lead < 0xf5 ? 4
                                         : 0;
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  const bool is_bad = (lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f) ||
                      (lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) > 0x8f);
  return is_bad ? 0 : size;
}

/// Avro's strings are UTF-8; a stranger's bytes are kept exactly in `attributes`.
std::string as_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    out += size == 0 ? std::string_view{"?"} : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

int set_text(avro_value_t& field, const std::string& text) {
  return avro_value_set_string_len(&field, const_cast<char*>(text.c_str()), text.size() + 1);
}
int set_bytes(avro_value_t& field, const void* bytes, std::size_t size) {
  static char nothing = 0;
  return avro_value_set_bytes(&field, size == 0 ? &nothing : const_cast<void*>(bytes), size);
}

int set_headers(avro_value_t& list, const client::Message& message) {
  for (const client::Header header : message.headers()) {
    avro_value_t element;
    avro_value_t name;
    avro_value_t value;
    if (avro_value_append(&list, &element, nullptr) != 0 ||
        avro_value_get_by_index(&element, 0, &name, nullptr) != 0 ||
        avro_value_get_by_index(&element, 1, &value, nullptr) != 0 ||
        set_text(name, as_utf8(header.name)) != 0 ||
        set_bytes(value, header.value.data(), header.value.size()) != 0)
      return EINVAL;
  }
  return 0;
}

int set_all(avro_value_t& record, const client::Message& logged) {
  const Message message{logged};
  const auto field = [&](Field index) {
    avro_value_t value{};
    static_cast<void>(avro_value_get_by_index(&record, index, &value, nullptr));
    return value;
  };
  avro_value_t at = field(kTopic);
  int failed = set_text(at, as_utf8(logged.topic));
  at = field(kPartition);
  failed |= avro_value_set_int(&at, static_cast<std::int32_t>(logged.partition));
  at = field(kOffset);
  failed |= avro_value_set_long(&at, static_cast<std::int64_t>(logged.offset));
  at = field(kTime);
  failed |= avro_value_set_long(&at, logged.timestamp_ms);
  at = field(kId);
  failed |= set_text(at, as_utf8(message.id()));
  at = field(kType);
  failed |= set_text(at, as_utf8(message.name()));
  at = field(kVersion);
  failed |= avro_value_set_int(&at, static_cast<std::int32_t>(std::min<std::uint32_t>(
                                        message.version(), std::numeric_limits<int>::max())));
  at = field(kKey);
  failed |= set_bytes(at, logged.key.data(), logged.key.size());
  at = field(kHeaders);
  failed |= set_headers(at, logged);
  at = field(kPayload);
  failed |= set_bytes(at, logged.payload.data(), logged.payload.size());
  at = field(kTombstone);
  failed |= avro_value_set_boolean(&at, logged.is_tombstone ? 1 : 0);
  at = field(kAttributes);
  return failed | set_bytes(at, logged.attributes.data(), logged.attributes.size());
}

/// A schema with the values of its record.
struct Schema {
  avro_schema_t schema = nullptr;
  avro_value_iface_t* form = nullptr;
  avro_value_t record{};

  Schema() = default;
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;
  ~Schema() {
    if (record.iface != nullptr) avro_value_decref(&record);
    if (form != nullptr) avro_value_iface_decref(form);
    if (schema != nullptr) avro_schema_decref(schema);
  }
  [[nodiscard]] bool make_record() {
    form = schema == nullptr ? nullptr : avro_generic_class_from_schema(schema);
    return form != nullptr && avro_generic_value_new(form, &record) == 0;
  }
};

}  // namespace

// --- Writing

struct LakeFileWriter::Avro {
  Schema schema;
  std::FILE* stream = nullptr;
  avro_file_writer_t file = nullptr;

  ~Avro() {
    if (file != nullptr) avro_file_writer_close(file);
    if (stream != nullptr) std::fclose(stream);
  }
};

LakeFileWriter::LakeFileWriter(std::string path, std::size_t block_bytes)
    : path_(std::move(path)), block_bytes_(block_bytes), avro_(std::make_unique<Avro>()) {}
LakeFileWriter::~LakeFileWriter() = default;

Result<std::unique_ptr<LakeFileWriter>> LakeFileWriter::create(const std::string& path,
                                                               const client::Message& first) {
  std::unique_ptr<LakeFileWriter> writer{
      new LakeFileWriter{path, std::max(kBlockBytes, size_of(first))}};
  MALLBOTS_TRY(writer->open());
  return writer;
}

Result<void> LakeFileWriter::open() {
  if (avro_schema_from_json_length(kSchema.data(), kSchema.size(), &avro_->schema.schema) != 0 ||
      !avro_->schema.make_record())
    return io_error(path_, avro_strerror());
  CRASH_POINT("lake.create");
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return io_error(path_, std::strerror(errno));
  avro_->stream = ::fdopen(fd, "wb");
  if (avro_->stream == nullptr) {
    ::close(fd);
    return io_error(path_, std::strerror(errno));
  }
  if (avro_file_writer_create_with_codec_fp(avro_->stream, path_.c_str(), 0, avro_->schema.schema,
                                            &avro_->file, "snappy", block_bytes_) != 0) {
    avro_->file = nullptr;
    return io_error(path_, avro_strerror());
  }
  return {};
}

bool LakeFileWriter::takes(const client::Message& message) const noexcept {
  return size_of(message) <= block_bytes_;
}

Result<void> LakeFileWriter::append(const client::Message& message) {
  if (!takes(message))
    return fail(ErrorCode::kTooLarge, "lake file " + path_ + " has smaller blocks");
  avro_value_reset(&avro_->schema.record);
  if (set_all(avro_->schema.record, message) != 0 ||
      avro_file_writer_append_value(avro_->file, &avro_->schema.record) != 0)
    return io_error(path_, avro_strerror());
  ++records_;
  bytes_ += size_of(message);
  return {};
}

Result<void> LakeFileWriter::finish() {
  const int unwritten = avro_file_writer_close(std::exchange(avro_->file, nullptr));
  if (unwritten != 0) return io_error(path_, avro_strerror());
  if (std::fflush(avro_->stream) != 0) return io_error(path_, std::strerror(errno));
  CRASH_POINT("lake.flush");
  if (::fsync(::fileno(avro_->stream)) != 0) return io_error(path_, std::strerror(errno));
  if (std::fclose(std::exchange(avro_->stream, nullptr)) != 0)
    return io_error(path_, std::strerror(errno));
  return {};
}

// --- Reading

struct LakeFileReader::Avro {
  LakeOutline outline{};
  avro_file_reader_t file = nullptr;
  Schema schema;
  std::array<avro_value_t, kNeeded.size()> fields{};

  ~Avro() {
    if (file != nullptr) avro_file_reader_close(file);
  }
  [[nodiscard]] bool find_fields() {
    for (std::size_t i = 0; i < kNeeded.size(); ++i) {
      const auto& [name, type] = kNeeded[i];
      if (avro_value_get_by_name(&schema.record, name, &fields[i], nullptr) != 0 ||
          avro_value_get_type(&fields[i]) != type)
        return false;
    }
    return true;
  }
  [[nodiscard]] std::span<const std::byte> bytes(Needed which) const {
    const void* data = nullptr;
    std::size_t size = 0;
    if (avro_value_get_bytes(&fields[which], &data, &size) != 0) return {};
    return {static_cast<const std::byte*>(data), size};
  }
};

LakeFileReader::LakeFileReader(std::string path)
    : path_(std::move(path)), avro_(std::make_unique<Avro>()) {}
LakeFileReader::~LakeFileReader() = default;

Result<std::unique_ptr<LakeFileReader>> LakeFileReader::open(const std::string& path) {
  auto outline = outline_of(path);
  if (!outline) return std::unexpected(std::move(outline).error());
  if (outline->records == 0 && !outline->damage.empty()) return corrupt(path, outline->damage);
  std::unique_ptr<LakeFileReader> reader{new LakeFileReader{path}};
  Avro& avro = *reader->avro_;
  avro.outline = *std::move(outline);
  if (avro_file_reader(path.c_str(), &avro.file) != 0) {
    avro.file = nullptr;
    return corrupt(path, avro_strerror());
  }
  avro.schema.schema = avro_file_reader_get_writer_schema(avro.file);
  if (!is_avro_record(avro.schema.schema) || !avro.schema.make_record() || !avro.find_fields())
    return corrupt(path, "its schema is not one of the lake");
  return reader;
}

Result<const client::Message*> LakeFileReader::next() {
  Avro& avro = *avro_;
  if (!avro.outline.damage.empty() && records_ == avro.outline.records)
    return corrupt(path_, avro.outline.damage);  // libavro must not see that block
  avro_value_reset(&avro.schema.record);
  const int read = avro_file_reader_read_value(avro.file, &avro.schema.record);
  if (read == EOF) return nullptr;
  if (read != 0) return corrupt(path_, avro_strerror());
  const char* topic = nullptr;
  std::size_t topic_bytes = 0;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  int tombstone = 0;
  if (avro_value_get_string(&avro.fields[kFromTopic], &topic, &topic_bytes) != 0 ||
      avro_value_get_int(&avro.fields[kFromPartition], &partition) != 0 ||
      avro_value_get_long(&avro.fields[kFromOffset], &offset) != 0 ||
      avro_value_get_long(&avro.fields[kFromTime], &message_.timestamp_ms) != 0 ||
      avro_value_get_boolean(&avro.fields[kFromTombstone], &tombstone) != 0 || topic_bytes == 0 ||
      partition < 0 || offset < 0)
    return corrupt(path_, "a record whose fields are none of the lake");
  message_.topic = {topic, topic_bytes - 1};
  message_.partition = static_cast<PartitionIndex>(partition);
  message_.offset = static_cast<Offset>(offset);
  message_.key = avro.bytes(kFromKey);
  message_.payload = avro.bytes(kFromPayload);
  message_.attributes = avro.bytes(kFromAttributes);
  message_.is_tombstone = tombstone != 0;
  message_.from_disk = true;
  ++records_;
  return &message_;
}

}  // namespace mallbots::toolkit
