// The only file of the toolkit that knows protobuf: what its descriptors say of fields.
#include <google/protobuf/descriptor.h>

#include "clients/toolkit/cqrs/message_set.h"

namespace mallbots::toolkit {
namespace {

constexpr int kMaxDepth = 16;  // messages may hold themselves

void list(const google::protobuf::Descriptor& type, const std::string& path, int depth,
          FieldList& fields) {
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    const std::string at = path + std::to_string(field.number()) + ":" + field.name() +
                           (field.is_repeated() ? "[]" : "");
    if (field.message_type() != nullptr && depth < kMaxDepth)
      list(*field.message_type(), at + ".", depth + 1, fields);
    else
      fields.emplace_back(at, field.type_name());
  }
}

}  // namespace

FieldList protobuf_fields(const google::protobuf::Descriptor& type) {
  FieldList fields;
  list(type, {}, 0, fields);
  return fields;
}

}  // namespace mallbots::toolkit
